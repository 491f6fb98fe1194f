import { afterAll, beforeAll, expect, test } from 'vitest';
import { recipientOf } from '../../src/secrets/bundle/format.ts';
import { secret } from '../../src/secrets/secret.ts';
import { type S3, startS3 } from '../real/s3.ts';
import { keys as press } from '../real/terminal.ts';
import { type Guest } from './guest.ts';
import { bareServer, checkout, green, inventory, mainPids, red, untilStatus } from './server.ts';

let guest: Guest;
let s3: S3;
let flags: string;
let recoveryKey: string;
beforeAll(async () => {
  s3 = await startS3();
  guest = await bareServer('trixie');
  flags = `--replica s3://${s3.bucket}/server --endpoint ${s3.endpoint} --yes`;
  await guest.must(`${checkout}/install.sh --bootstrap-only`, { timeout: 300_000 });
  await guest.must(
    `umask 077; printf '${keys('wrong-secret')}' >/root/wrong; printf '${keys(s3.secretAccessKey)}' >/root/keys`,
  );
});
afterAll(async () => {
  await guest.close();
  await s3[Symbol.asyncDispose]();
});

const keys = (key: string) =>
  `[default]\\naws_access_key_id = ${s3.accessKeyId}\\naws_secret_access_key = ${key}\\n`;

test('wrong keys, no keys and a dead endpoint are refused before anything is touched', async () => {
  const was = await guest.must(inventory);
  const wrong = await guest.run(`fossilrepo install ${flags} --storage-keys /root/wrong`);
  expect(wrong.code).toBe(4);
  expect(wrong.stderr).toContain('next:');
  expect(wrong.stderr).not.toContain('wrong-secret');
  const none = await guest.run(`fossilrepo install ${flags}`);
  expect(none.code).toBe(4);
  expect(none.stderr).toContain('--storage-keys');
  const dead = await guest.run(
    `fossilrepo install --replica s3://forge/x --endpoint http://127.0.0.1:9 --yes --storage-keys /root/keys`,
  );
  expect(dead.code).toBe(4);
  expect(dead.stderr).toContain('127.0.0.1:9');
  expect(await guest.must(inventory)).toBe(was);
});

test('with a fossilrepo.yaml and no keys yet, it asks for the keys alone', async () => {
  await guest.must(
    `mkdir /etc/fossilrepo; printf 'domain: localhost\nreplica:\n  url: s3://${s3.bucket}/server\n  endpoint: ${s3.endpoint}\n' >/etc/fossilrepo/fossilrepo.yaml`,
  );
  await using terminal = await guest.terminal('fossilrepo install');
  await terminal.answers('Access key ID of the storage', s3.accessKeyId, press.enter);
  await terminal.answers('Secret access key', s3.secretAccessKey, press.enter);
  await terminal.answers('Do this?', 'n', press.enter);
  const { code, screen } = await terminal.ended();
  expect(code, screen).toBe(130);
  expect(screen).not.toContain('Domain (');
  await guest.must('rm -r /etc/fossilrepo');
});

test('asks for the replica in S3 and its keys, which are on no screen and in no argument', async () => {
  await guest.must(
    `sed -n 's/.*secret_access_key = //p' /root/keys >/root/pattern; chmod 600 /root/pattern
     setsid sh -c 'while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -cFf /root/pattern >>/root/seen; sleep 0.02; done' >/dev/null 2>&1 &
     echo $! >/root/watcher`,
  );
  await using terminal = await guest.terminal('fossilrepo install');
  await terminal.answers('Domain (repositories answer at NAME.DOMAIN)', press.enter);
  await terminal.answers('Where shall every commit go?', press.up, press.enter);
  await terminal.answers('Address (s3://BUCKET/PREFIX)', `s3://${s3.bucket}/server`, press.enter);
  await terminal.answers('Endpoint of the storage', s3.endpoint, press.enter);
  await terminal.answers('Access key ID of the storage', s3.accessKeyId, press.enter);
  await terminal.answers('Secret access key', s3.secretAccessKey, press.enter);
  await terminal.sees(`The replica at s3://${s3.bucket}/server is empty: every commit goes there`);
  await terminal.answers('Do this?', press.enter);
  const { code, screen } = await terminal.ended();
  expect(code, screen).toBe(0);
  expect(screen).toContain('with the password');
  expect(screen).not.toContain('is no backup');
  expect(screen).not.toContain(s3.secretAccessKey);
  const [shown = '', ...more] = screen.match(/AGE-SECRET-KEY-1\w+/g) ?? [];
  expect(more).toEqual([]);
  expect(screen).toContain(`The recovery key is ${shown}`);
  recoveryKey = shown;
  expect(screen).toContain('It is shown this once: keep it off this machine.');
  await guest.must('kill $(cat /root/watcher)');
  await untilStatus(guest, green, 60_000);
  expect(await guest.must('sort -n /root/seen | tail -n 1')).toBe('0');
});

test('the recovery key was shown for good: it is what opens the bundle, is nowhere on the server, and is not shown again', async () => {
  const recipient = await recipientOf(secret(recoveryKey));
  const known = await guest.must('fossilrepo --json backup recovery-key');
  expect(JSON.parse(known)).toMatchObject({ recipient, shown: true });
  await guest.must(`umask 077; mkdir /run/shown; printf %s '${recoveryKey}' >/run/shown/pattern`);
  const found = await guest.must(
    'find /etc /var /data /opt/fossilrepo /root /tmp /run -xdev -path /run/shown -prune -o -type f -exec grep -lFf /run/shown/pattern {} + || true',
  );
  expect(found).toBe('');
  await using again = await guest.terminal('fossilrepo install');
  const { code, screen } = await again.ended();
  expect(code, screen).toBe(0);
  expect(screen).toContain('Nothing to do');
  expect(screen).not.toMatch(/AGE-SECRET-KEY|It is shown this once/);
});

test('the keys are in no file that others can read, and in no environment', async () => {
  const found = await guest.must(
    `find / -xdev \\( -path /proc -o -path /sys -o -path ${checkout} -o -path /opt/fossilrepo \\) -prune -o -type f -perm -o=r -size -5M -exec grep -lFf /root/pattern {} + || true`,
  );
  expect(found).toBe('');
  expect(await guest.must("stat -c '%a %U' /etc/fossilrepo/secrets/storage")).toBe('600 root');
  const environments = await guest.must(
    `for part in repositories replication management edge; do tr '\\0' '\\n' </proc/$(systemctl show -P MainPID fossilrepo-$part)/environ; done`,
  );
  expect(environments).not.toContain(s3.secretAccessKey);
  expect(environments).toContain(
    'AWS_SHARED_CREDENTIALS_FILE=/run/credentials/fossilrepo-replication.service/storage',
  );
  expect(await guest.must('journalctl --no-pager -u "fossilrepo*"')).not.toContain(s3.secretAccessKey);
});

/** What an open Fossil does: a transaction in the repository's file. */
const write = (key: string) =>
  `python3 -c 'import sqlite3; db = sqlite3.connect("/data/repos/demo.fossil", timeout=10); db.execute("replace into config(name, value, mtime) values(\\"${key}\\", 1, 0)"); db.commit()'`;

test('a repository is in S3; S3 stopped turns status red, and back green with nothing lost', async () => {
  await guest.must('fossilrepo repo create demo && fossilrepo backup now');
  await untilStatus(guest, ({ ok }) => ok, 60_000);
  await s3.stop();
  const toRed = await untilStatus(guest, red, 60_000);
  expect((await guest.run('fossilrepo backup status')).code).toBe(4);
  // What is written meanwhile is not in the replica, and `backup now` does not say that it is.
  await guest.must(write('meanwhile'));
  expect((await guest.run('fossilrepo backup now')).code).not.toBe(0);
  await s3.start();
  const toGreen = await untilStatus(guest, ({ ok }) => ok, 120_000);
  process.stdout.write(`S3 stopped: red after ${toRed} ms; back: green after ${toGreen} ms\n`);
  await guest.must('fossilrepo backup now');
});

test('the same keys again are nothing to do; changed ones restart what uses them', async () => {
  const pids = await mainPids(guest);
  const same = await guest.run(`fossilrepo install ${flags} --storage-keys /root/keys`);
  expect(same.stderr).toContain('Nothing to do');
  expect(await mainPids(guest)).toEqual(pids);
  // By hand, as an operator who has rolled them.
  await guest.must('echo "# rolled" >>/etc/fossilrepo/secrets/storage');
  expect(await guest.must('fossilrepo diff')).toContain('- restart replication\n- restart management');
  await guest.must('fossilrepo apply');
  const now = await mainPids(guest);
  expect(Object.keys(pids).filter((part) => pids[part] !== now[part])).toEqual(['replication', 'management']);
  await untilStatus(guest, ({ ok }) => ok, 60_000);
  // What would lock the server out of its replica is refused, and the former keys stay.
  const wrong = await guest.run(`fossilrepo install ${flags} --storage-keys /root/wrong`);
  expect(wrong.code).toBe(4);
  expect(await guest.must('grep -c wrong-secret /etc/fossilrepo/secrets/storage || true')).toBe('0');
});

test('keys that a part refuses to start with go back with the rest', async () => {
  const now = await s3.rotate();
  await guest.must(
    `umask 077; printf '[default]\\naws_access_key_id = ${now.accessKeyId}\\naws_secret_access_key = ${now.secretAccessKey}\\n' >/root/rotated
     cp /etc/fossilrepo/fossilrepo.yaml /root/was.yaml; sha256sum /etc/fossilrepo/secrets/storage >/root/was.sum
     printf '#!/bin/sh\\n[ "$1" != version ] || { echo 9.9.9; exit; }\\n[ "$1" != databases ] || exit 0\\nexit 1\\n' >/usr/local/bin/no-litestream
     chmod 755 /usr/local/bin/no-litestream
     echo 'programs: { litestream: /usr/local/bin/no-litestream }' >>/etc/fossilrepo/fossilrepo.yaml`,
  );
  const refused = await guest.run('fossilrepo install --yes --storage-keys /root/rotated');
  expect(refused.stderr).toContain('replication refused its new configuration; the former one is back');
  expect(refused.code).toBe(1);
  await guest.must('sha256sum -c /root/was.sum');
  await guest.must('cp /root/was.yaml /etc/fossilrepo/fossilrepo.yaml');
  await guest.must('fossilrepo install --yes --storage-keys /root/rotated');
  await untilStatus(guest, ({ ok }) => ok, 90_000);
});

test('a purge does not destroy by --yes alone what is not in the replica', async () => {
  await s3.stop();
  await guest.must(write('unsent'));
  const was = await mainPids(guest);
  const refused = await guest.run('fossilrepo uninstall --purge --yes');
  expect(refused.code, refused.stderr).toBe(4);
  expect(refused.stderr).toContain('Nothing was removed. What was written last is not in the replica, of /');
  expect(refused.stderr).toContain('leave out --yes');
  expect(await mainPids(guest)).toEqual(was);
  await guest.must('test -e /data/repos/demo.fossil');
  const plan = await guest.must('fossilrepo uninstall --purge --dry-run');
  expect(plan).toContain('the replica does not bring that back');
  await s3.start();
  await guest.must('fossilrepo backup now');
  await guest.must('fossilrepo uninstall --purge --yes', { timeout: 200_000 });
  await guest.must('! test -e /data/repos');
});
