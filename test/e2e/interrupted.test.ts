import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownVersion } from '../../src/system/version.ts';
import { keys } from '../real/terminal.ts';
import { suites, type Guest } from './guest.ts';
import { bareServer, checkout, green, inventory, lines, packages, untilStatus } from './server.ts';

const install = `${checkout}/install.sh`;

/** Where the installer is killed, as a shell condition that turns true there. */
const log = '/var/log/fossilrepo/install.log';
const points = {
  'while packages are unpacked': `grep -qs '^Unpacking git ' ${log}`,
  'while packages are configured': `grep -qs '^Setting up python3' ${log}`,
  'while programs are fetched': 'test -d /opt/fossilrepo.new/embedded/programs.new',
  'while npm packages are fetched': 'test -n "$(ls /opt/fossilrepo.new/node_modules 2>/dev/null)"',
  'before going live': `grep -qs 'starting the new program' ${log}`,
  'while going live': `grep -qs 'going live' ${log}`,
};

/** What would be two of, or another one, if a second run did not go on where the first was killed. */
const identity = `set -e; sha256sum /etc/fossilrepo/secrets/instance-key | cut -c1-64
  python3 -c 'import sqlite3; [print(row) for row in sqlite3.connect("/var/lib/fossilrepo/fossilrepo.db").execute("select login, sealed_token from member")]'`;

/** Kills install when it says that a step is done. */
const killed = `cat >/root/killed.py <<'END'
import os, signal, subprocess as s
command = s.Popen(["fossilrepo", "install", "--yes"], stdout=s.PIPE, stderr=s.PIPE, text=True, start_new_session=True)
for line in command.stderr:
    print(line, end="")
    if line.startswith("- ") or line.startswith("Nothing to do"):
        os.killpg(command.pid, signal.SIGKILL)
print(command.stdout.read())
END
python3 /root/killed.py`;

describe.each(suites)('what is interrupted on a fresh %s', (suite) => {
  let guest: Guest;
  let before: string[];
  beforeAll(async () => {
    guest = await bareServer(suite);
    before = lines(await guest.must(packages));
  });
  afterAll(() => guest.close());

  test.each(Object.entries(points))('install.sh killed %s', async (_, reached) => {
    const killed = await guest.must(
      `rm -f ${log}
       setsid ${install} --bootstrap-only >/root/killed 2>&1 & pid=$!
       until ${reached}; do kill -0 $pid 2>/dev/null || { cat /root/killed; exit 1; }; sleep 0.02; done
       kill -KILL -- -$pid && echo killed`,
      { timeout: 200_000 },
    );
    expect(killed).toBe('killed');
    // What is live is whole: the program, or none yet.
    await guest.must('test ! -e /opt/fossilrepo/bin || /opt/fossilrepo/bin/fossilrepo --version');
  });

  test('run again, it finishes, and remembers every package', async () => {
    // Somebody who came meanwhile is none of ours.
    await guest.must('useradd --create-home alice');
    await guest.must(`${install} --bootstrap-only`, { timeout: 300_000 });
    expect(lines(await guest.must('cat /var/lib/fossilrepo-install/groups-added'))).not.toContain('alice');
    expect(lines(await guest.must('fossilrepo --version'))).toEqual([ownVersion]);
    expect(await guest.must('ls /opt')).toBe('fossilrepo');
    expect(await guest.must('dpkg --audit')).toBe('');
    const added = lines(await guest.must(packages)).filter((name) => !before.includes(name));
    const remembered = lines(await guest.must('cat /var/lib/fossilrepo-install/packages-added'));
    expect(remembered.map((name) => name.split(':')[0])).toEqual(added);
  });

  test('an update killed at any moment leaves the former or the new version', async () => {
    for (const delay of [0.1, 0.2, 0.4, 0.8]) {
      await guest.must(`echo '// ${delay}' >>${checkout}/src/main.ts`);
      await guest.run(`timeout -s KILL ${delay} ${install} --bootstrap-only`);
      expect(lines(await guest.must('fossilrepo --version'))).toEqual([ownVersion]);
    }
    await guest.must(`${install} --bootstrap-only`);
    await guest.must(`cmp ${checkout}/src/main.ts /opt/fossilrepo/src/main.ts`);
    expect(await guest.must('ls /opt')).toBe('fossilrepo');
  });

  test('install --dry-run shows each step with its files, and changes nothing', async () => {
    const was = await guest.must(inventory);
    const plan = await guest.must(`${install} --dry-run --yes`);
    expect(plan).toContain('- make the user fossil (no shell, no password)');
    expect(plan).toContain('+ExecStart=');
    expect(plan).toContain('- start repositories (listens on 127.0.0.1:21100)');
    expect(plan).toMatch(/^- start edge \(listens on 127\.0\.0\.1:80, .*127\.0\.0\.1:81\b/m);
    expect(plan).toContain('The replica at file:///var/backups/fossilrepo is empty');
    expect(await guest.must(inventory)).toBe(was);
  });

  test('an account of a person with a service’s name, a replica that units don’t see and a port in use are refused before anything is touched', async () => {
    await guest.must('useradd --create-home fossil');
    const was = await guest.must(inventory);
    const account = await guest.run('fossilrepo install --yes');
    expect(account.code).toBe(4);
    expect(account.stderr).toContain('There is a user fossil');
    expect(account.stderr).toContain('usermod --login ANOTHER fossil');
    const hidden = await guest.run('fossilrepo install --yes --replica file:///root/replica');
    expect(hidden.stderr).toContain(
      "The replica can't be /root/replica: the server's units see nothing of /root.",
    );
    expect(await guest.must(inventory)).toBe(was);
    await guest.must('userdel --remove fossil');
    const port = await guest.run(
      `python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 80)); open("/run/taken", "w"); time.sleep(60)' & pid=$!
       until [ -e /run/taken ]; do sleep 0.05; done; fossilrepo install --yes; code=$?; kill $pid; rm /run/taken; exit $code`,
    );
    expect(port.code).toBe(4);
    expect(port.stderr).toContain('Port 80 on 127.0.0.1 is in use by another program');
    expect(port.stderr).toContain("ss -ltnp 'sport = :80'");
  });

  test('asks whoever is there, shows the plan with the answers in it, and takes no for an answer', async () => {
    await guest.must(
      'touch /etc/hosts; cp /etc/hosts /root/hosts; echo 127.0.0.1 forge.test fossilrepo-check.forge.test >>/etc/hosts',
    );
    const was = await guest.must(inventory);
    await using terminal = await guest.terminal('fossilrepo install');
    await terminal.answers('Domain (repositories answer at NAME.DOMAIN)', 'forge.test', keys.enter);
    await terminal.answers('E-mail for the certificate authority', 'ops@forge.test', keys.enter);
    await terminal.answers('Where shall every commit go?', keys.down, keys.enter);
    await terminal.answers('Folder (/var/backups/fossilrepo)', '/mnt/replica', keys.enter);
    await terminal.sees('The replica at file:///mnt/replica is empty: every commit goes there');
    await terminal.answers('Do this?', 'n', keys.enter);
    const { code, screen } = await terminal.ended();
    expect(screen).toMatch(/^ +\+domain: forge.test$/m);
    expect(screen).toMatch(/^ +\+email: ops@forge.test$/m);
    expect(screen).toMatch(/^ +\+ +url: file:\/\/\/mnt\/replica$/m);
    // Its own resolver knows the name, the DNS does not, or nobody can be asked.
    expect(screen).toMatch(/Only this machine knows forge\.test|can resolve forge\.test can't be known/);
    expect(screen).toContain('Nothing was changed.');
    expect(code).toBe(130);
    expect(await guest.must(inventory)).toBe(was);
    await guest.must('cp /root/hosts /etc/hosts');
  });

  test('install killed after each step and run again, it finishes, and shows one password', async () => {
    // One of Debian's own services' users is used as it is.
    await guest.must('groupadd --system caddy; useradd --system --gid caddy --home-dir /var/lib/caddy caddy');
    const said: string[] = [];
    for (;;) {
      said.push(await guest.must(killed));
      // No step left to print: this one was killed while it looked at the server from outside.
      if (!/^- /m.test(said.at(-1) ?? '')) break;
      expect(said.length).toBeLessThan(60);
    }
    process.stdout.write(`${suite}: killed ${said.length} times\n`);
    // On a machine that is busy several steps are done before it is killed.
    expect(said.length).toBeGreaterThan(5);
    const all = said.join('\n');
    expect(all).not.toContain('error:');
    expect(all).not.toContain('with the password');
    expect(all).toContain('make the user fossil ');
    expect(all).not.toContain('make the user caddy');
    const was = await guest.must(identity);

    const last = await guest.run(`${install} --yes`, { timeout: 300_000 });
    expect(last.code, last.stderr).toBe(0);
    expect(last.stdout.match(/with the password/g)).toHaveLength(1);
    expect(await guest.must(identity)).toBe(was);
    expect(lines(was)).toHaveLength(2);
    expect(lines(await guest.must('ls /var/backups/fossilrepo | grep -v owner.json'))).toHaveLength(1);
    await untilStatus(guest, green, 90_000);
    expect(await guest.must('ls -A /var/lib/caddy 2>/dev/null || true')).toBe('');

    const password = /with the password (\S+)/.exec(last.stdout)?.[1] ?? '';
    const signedIn = await fetch('http://localhost/sign-in', {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: 'http://localhost' },
      body: new URLSearchParams({ login: 'admin', password }),
    });
    expect(signedIn.status).toBe(303);
  });

  test('a purge takes what install made, and leaves a user who was there before', async () => {
    await guest.must('fossilrepo uninstall --purge --yes', { timeout: 300_000 });
    await guest.must(
      'id caddy && ! id fossil && ! id fossilrepo && ! getent group fossilrepo && getent group alice',
    );
  });
});
