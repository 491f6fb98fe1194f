import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBundle } from '../../src/secrets/bundle/format.ts';
import { secret } from '../../src/secrets/secret.ts';
import { suites, type Guest } from './guest.ts';
import {
  bareServer,
  checkout,
  green,
  inventory,
  lines,
  mainPids,
  openClone,
  packages,
  processes,
  red,
  untilStatus,
} from './server.ts';

/** Pushes check-ins one by one; prints, for each, the milliseconds from the end of its push until its last change was in the replica. */
const pushes = (count: number) => `
  cd /root/clone/open; export USER=admin HOME=/root/clone
  id=$(fossilrepo repo show demo --json | sed -n 's/.*"id": "\\(.*\\)".*/\\1/p')
  ltx=$(echo /var/backups/fossilrepo/*/repos/$id/ltx/0)
  newest() { find $ltx -name '*.ltx' -printf '%C@\\n' | sort -n | tail -n 1; }
  for number in $(seq ${count}); do
    echo "$number $RANDOM" >>file.txt
    [ "$number" != 1 ] || fossil add file.txt >/dev/null
    fossil commit -m "number $number" --no-warnings >/root/said 2>&1 || { cat /root/said; exit 1; }
    pushed=$(date +%s.%N) written=$(stat -c %.9Y /data/repos/demo.fossil-wal) tries=0
    while ! awk "BEGIN { exit !($(newest) >= $written - 0.005) }"; do
      tries=$((tries + 1)); [ $tries -lt 200 ] || { echo "number $number is not in the replica"; exit 1; }
      sleep 0.01
    done
    awk "BEGIN { late = ($(newest) - $pushed) * 1000; print int(late > 0 ? late : 0) }"
  done`;

/** Files of Debian's packages by both of their names: those of /lib are in /usr/lib. */
const packaged = "cat /var/lib/dpkg/info/*.list | sed 'p; s|^|/usr|'";

/** All that a plain uninstall leaves besides, as inventory's lines. */
const staying = [
  /^\/(data|etc\/fossilrepo|var\/lib\/fossilrepo(-install)?|var\/backups\/fossilrepo)[/ ]/,
  /^(fossilrepo|fossil|caddy):/,
  // What the packages' own scripts make: readline's, netbase's, Python's, the SSH client's, libnss-myhostname's.
  /^\/etc\/(inputrc|networks) /,
  /^\/(etc\/python3|usr\/local\/lib\/python3|var\/lib\/python)/,
  /^_ssh:/,
  /^\/etc\/systemd\/user\/sockets\.target\.wants(\/ssh-agent\.socket)? /,
  /^hosts:.* myhostname/,
];

const recoveryKey = /AGE-SECRET-KEY-1[0-9A-Z]{58}/g;

describe.each(suites)('a bare %s becomes a forge', (suite) => {
  let guest: Guest;
  let before: string[];
  let packagesBefore: string[];
  let password: string;
  beforeAll(async () => {
    guest = await bareServer(suite);
    before = lines(await guest.must(inventory));
    packagesBefore = lines(await guest.must(packages));
  });
  afterAll(() => guest.close());

  test('--dry-run shows the plan and changes nothing', async () => {
    const said = await guest.must(`${checkout}/install.sh --dry-run --yes`);
    expect(said).toContain('would then run: fossilrepo install --yes');
    expect(lines(await guest.must(inventory))).toEqual(before);
  });

  test('install.sh --yes: a running forge in under 90 s', async () => {
    const began = Date.now();
    const ran = await guest.run(`${checkout}/install.sh --yes`, { timeout: 300_000 });
    const seconds = (Date.now() - began) / 1000;
    expect(ran.code, ran.stderr).toBe(0);
    process.stdout.write(`${suite}: install.sh took ${seconds.toFixed(1)} s\n`);
    expect(seconds).toBeLessThan(90);
    expect(ran.stdout).toContain('The forge answers at http://localhost');
    password = /with the password (\S+)/.exec(ran.stdout)?.[1] ?? '';
    expect(password).not.toBe('');
    const keys = ran.stdout.match(recoveryKey);
    expect(keys).toHaveLength(1);
    expect(ran.stdout).toContain('keep it off this machine');
    // What the key is for is in the replica, and the key itself nowhere.
    const sealed = await guest.must('cat /var/backups/fossilrepo/*/bundles/*.age');
    const { files } = await openBundle(sealed, secret(keys?.[0] ?? ''));
    const found = files.find(({ path }) => path === 'etc/fossilrepo/secrets/instance-key')?.base64 ?? '';
    expect(atob(found).trim()).toBe(await guest.must('cat /etc/fossilrepo/secrets/instance-key'));
    const holding = async (text: string) =>
      lines(await guest.must(`grep -rlsaF ${text} /etc /var /run /data /root || true`));
    expect(await holding(keys?.[0]?.slice(20, 60) ?? 'no key')).toEqual([]);
    expect(await holding(found)).toEqual([]);
    expect(ran.stderr).toContain('on the same disk it is no backup');
    await untilStatus(guest, green, 30_000);
  });

  test('a repository is made, cloned by the printed command, and 100 check-ins are each in the replica within a second', async () => {
    await guest.must('fossilrepo repo create demo');
    await openClone(guest, 'demo', '/root/clone');
    const late = lines(await guest.must(pushes(100), { timeout: 300_000 }))
      .map(Number)
      .sort((one, other) => one - other);
    process.stdout.write(
      `${suite}: in the replica after the push: p50 ${late[50]} ms, max ${late.at(-1)} ms\n`,
    );
    expect(late).toHaveLength(100);
    expect(late.at(-1)).toBeLessThan(1_000);
    // What is in the replica is whole.
    const counted = await guest.must(
      `id=$(fossilrepo repo show demo --json | sed -n 's/.*"id": "\\(.*\\)".*/\\1/p')
       cd /tmp && /opt/fossilrepo/embedded/programs/bin/litestream restore -o /tmp/back.fossil file://$(echo /var/backups/fossilrepo/*/repos/$id) >&2
       python3 -c 'import sqlite3; print(sqlite3.connect("/tmp/back.fossil").execute("select count(*) from event where type = ?", ["ci"]).fetchone()[0])'
       rm /tmp/back.fossil`,
    );
    expect(counted).toBe('101');
    await guest.must('fossilrepo backup now demo && fossilrepo backup status');
  });

  test('a file that root puts there is served and replicated within 5 s', async () => {
    const took = Number(
      await guest.must(
        `USER=root fossil init /data/repos/dropped.fossil >/dev/null
         python3 -c '
import time, urllib.error, urllib.request
began = time.monotonic()
def served():
  try: return urllib.request.urlopen("http://dropped.localhost/").status
  except urllib.error.HTTPError as e: return e.code not in (404, 503)
while not served(): time.sleep(0.05)
print(round(1000 * (time.monotonic() - began)))'`,
      ),
    );
    process.stdout.write(`${suite}: a dropped-in file took ${took} ms\n`);
    // Before it is served all of it is in the replica.
    expect(await guest.must('fossilrepo repo show dropped --json')).toContain('"replicated": true');
    expect(await guest.must('fossilrepo backup status --json')).toContain('"name": "dropped"');
    expect(took).toBeLessThan(5_000);
    expect(await guest.must('stat -c "%a %U:%G" /data/repos/dropped.fossil')).toMatch(
      /^660 (fossilrepo|fossil):fossilrepo$/,
    );
  });

  test('a symbolic link is never served', async () => {
    await guest.must('cp /data/repos/dropped.fossil /root/outside.fossil');
    await guest.must(
      `ln -s /root/outside.fossil /data/repos/linked.fossil
       for try in $(seq 100); do [ -L /data/repos/linked.fossil ] || exit 0; sleep 0.1; done; exit 1`,
    );
    expect(await guest.must('stat -c "%a %U" /root/outside.fossil')).not.toContain('fossilrepo');
    expect((await guest.run('fossilrepo repo show linked')).code).not.toBe(0);
    expect(await guest.must('find /data/work/rejected -type l')).not.toBe('');
    await guest.must('rm -r /root/outside.fossil /data/work/rejected/*');
  });

  test('without Litestream the status is red, and green again when it is back', async () => {
    await untilStatus(guest, ({ ok }) => ok, 60_000);
    await guest.must(
      'systemctl kill -s KILL fossilrepo-replication && systemctl stop fossilrepo-replication',
    );
    await untilStatus(guest, red, 15_000);
    const began = Date.now();
    await guest.must('systemctl start fossilrepo-replication');
    await untilStatus(guest, ({ ok }) => ok, 30_000);
    process.stdout.write(`${suite}: well again ${Date.now() - began} ms after Litestream came back\n`);
    // Killed, it comes back by itself.
    const { replication } = await mainPids(guest);
    await guest.must(`kill -9 ${replication}; sleep 2.5`);
    expect((await mainPids(guest))['replication']).not.toBe(replication);
    await untilStatus(guest, ({ ok }) => ok, 30_000);
  });

  test('after a reboot everything is up by itself', async () => {
    await guest.reboot();
    const rebooted = Date.now();
    await untilStatus(
      guest,
      (status) => green(status) && Date.parse(status.canary?.at ?? '') > rebooted,
      90_000,
    );
    await guest.must(
      'cd /root/clone/open && export USER=admin HOME=/root/clone && echo more >>file.txt && fossil commit -m more --no-warnings',
    );
    expect(await guest.must('fossilrepo repo show demo --json')).toContain('"checkins": 102');
  });

  test('install again: nothing to do, secrets stay, no second password', async () => {
    const secrets =
      'sha256sum /etc/fossilrepo/secrets/* /etc/fossilrepo/fossilrepo.yaml; fossilrepo user token admin';
    const [was, pids] = [await guest.must(secrets), await mainPids(guest)];
    const again = await guest.run(`${checkout}/install.sh --yes`);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stderr).toContain('Nothing to do');
    expect(again.stdout).not.toContain('password');
    expect(again.stdout).not.toMatch(recoveryKey);
    expect(await guest.must(secrets)).toBe(was);
    expect(await mainPids(guest)).toEqual(pids);
  });

  test('an update restarts the parts, also with a program of the same version', async () => {
    const was = await mainPids(guest);
    await guest.must(`echo "// changed" >>${checkout}/src/main.ts`);
    const update = await guest.run(`${checkout}/install.sh --yes`);
    expect(update.code, update.stderr).toBe(0);
    expect(update.stdout).not.toContain('password');
    const now = await mainPids(guest);
    expect(Object.keys(now)).toEqual(Object.keys(was));
    for (const [part, pid] of Object.entries(now)) expect(pid, part).not.toBe(was[part]);
    const status = await guest.run('fossilrepo status');
    expect(status.code, status.stdout).toBe(0);
    await guest.must('fossilrepo diff');
  });

  test('uninstall keeps data; install brings it back into service', async () => {
    const dry = await guest.must('fossilrepo uninstall --dry-run');
    expect(dry).toContain('remove the program');
    const said = await guest.must('fossilrepo uninstall --yes');
    const stays =
      'Stays: /data, /var/lib/fossilrepo, /etc/fossilrepo, the replica at file:///var/backups/fossilrepo.';
    expect(dry).toContain(stays);
    expect(said).toContain(stays);
    const gone = await guest.run(
      'ls -d /opt/fossilrepo* /usr/local/bin/fossilrepo /etc/systemd/system/*fossilrepo* /etc/systemd/system/*.wants/fossilrepo* /run/fossilrepo',
    );
    expect(gone.stdout).toBe('');
    expect(await guest.must(processes)).toBe('');
    expect(said).toMatch(/^Stays with it, .*the users? .*fossil.*Debian packages.*fossilrepo-install/m);
    const known = new Set([...before, ...lines(await guest.must(packaged))]);
    // systemd forgets names that it was asked about, not at once.
    const left = lines(await guest.must(`sleep 3; ${inventory}`)).filter(
      (line) => !known.has(line) && !known.has(line.replace(/ \S+ \S+$/, '')),
    );
    expect(left.filter((line) => !staying.some((one) => one.test(line)))).toEqual([]);
    const back = await guest.run(`${checkout}/install.sh --yes`, { timeout: 300_000 });
    expect(back.code, back.stderr).toBe(0);
    expect(back.stdout).not.toContain('password');
    expect(back.stdout).not.toMatch(recoveryKey);
    expect(await guest.must('fossilrepo repo show demo --json')).toContain('"checkins": 102');
    await guest.must(
      'cd /root/clone/open && export USER=admin HOME=/root/clone && echo back >>file.txt && fossil commit -m back --no-warnings',
    );
    await untilStatus(guest, ({ level }) => level === 'green', 90_000);
  });

  test('uninstall --purge leaves nothing, killed in the middle, too', async () => {
    // Somewhere between the units and the packages, and once more at the very end.
    for (const reached of ['[ ! -d /run/fossilrepo ]', '! getent passwd fossil'])
      await guest.must(
        `setsid /opt/fossilrepo/bin/fossilrepo uninstall --purge --yes >/root/purge 2>&1 & pid=$!
         until ${reached} >/dev/null; do kill -0 $pid 2>/dev/null || break; sleep 0.01; done; kill -KILL -- -$pid 2>/dev/null; wait; true`,
      );
    await guest.must('if [ -e /opt/fossilrepo ]; then fossilrepo uninstall --purge --yes; fi', {
      timeout: 300_000,
    });
    expect(lines(await guest.must(packages))).toEqual(packagesBefore);
    // systemd forgets names that it was asked about, not at once.
    const after = lines(await guest.must(`sleep 3; ${inventory}`));
    expect(after.filter((line) => !before.includes(line))).toEqual([]);
    expect(before.filter((line) => !after.includes(line))).toEqual([]);
  });
});
