import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Guest } from './guest.ts';
import { bareServer, checkout, green, inventory, lines, untilStatus } from './server.ts';

/** What would be two of, or another one, if a second run did not go on where the first was killed. */
const identity = `set -e; sha256sum /etc/fossilrepo/secrets/instance-key | cut -c1-64
  python3 -c 'import sqlite3; [print(row) for row in sqlite3.connect("/var/lib/fossilrepo/fossilrepo.db").execute("select login, sealed_token from member")]'`;

let guest: Guest;
beforeAll(async () => {
  guest = await bareServer('bookworm');
  await guest.must(`${checkout}/install.sh --bootstrap-only`, { timeout: 300_000 });
});
afterAll(() => guest.close());

test('--dry-run shows each step with its files, and changes nothing', async () => {
  const was = await guest.must(inventory);
  const plan = await guest.must(`${checkout}/install.sh --dry-run --yes`);
  expect(plan).toContain('- make the user fossil (no shell, no password)');
  expect(plan).toContain('+ExecStart=');
  expect(plan).toContain('- start edge');
  expect(await guest.must(inventory)).toBe(was);
});

test('an account of a person with a service’s name is refused before anything is touched', async () => {
  await guest.must('useradd --create-home fossil');
  const was = await guest.must(inventory);
  const ran = await guest.run('fossilrepo install --yes');
  expect(ran.code).toBe(4);
  expect(ran.stderr).toContain('There is a user fossil');
  expect(ran.stderr).toContain('usermod --login ANOTHER fossil');
  expect(await guest.must(inventory)).toBe(was);
  await guest.must('userdel --remove fossil');
});

test('a port in use is refused before anything is touched', async () => {
  const was = await guest.must(inventory);
  const ran = await guest.run(
    `python3 -m http.server 80 --bind 127.0.0.1 >/dev/null 2>&1 & pid=$!
     sleep 1; fossilrepo install --yes; code=$?; kill $pid; exit $code`,
  );
  expect(ran.code).toBe(4);
  expect(ran.stderr).toContain('Port 80 on 127.0.0.1 is in use by another program');
  expect(ran.stderr).toContain("ss -ltnp 'sport = :80'");
  expect(await guest.must(inventory)).toBe(was);
});

test('killed after each step and run again, it finishes, and shows one password', async () => {
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
  const said: string[] = [];
  for (;;) {
    said.push(await guest.must(killed));
    // No step left to print: this one was killed while it looked at the server from outside.
    if (!/^- /m.test(said.at(-1) ?? '')) break;
    expect(said.length).toBeLessThan(60);
  }
  process.stdout.write(`killed ${said.length} times\n`);
  // On a machine that is busy several steps are done before it is killed.
  expect(said.length).toBeGreaterThan(5);
  expect(said.join('\n')).not.toContain('error:');
  expect(said.filter((text) => text.includes('with the password'))).toEqual([]);
  const was = await guest.must(identity);

  const last = await guest.run(`${checkout}/install.sh --yes`, { timeout: 300_000 });
  expect(last.code, last.stderr).toBe(0);
  expect(last.stdout.match(/with the password/g)).toHaveLength(1);
  expect(await guest.must(identity)).toBe(was);
  expect(lines(was)).toHaveLength(2);
  expect(lines(await guest.must('ls /var/backups/fossilrepo | grep -v owner.json'))).toHaveLength(1);
  await untilStatus(guest, green, 90_000);

  const password = /with the password (\S+)/.exec(last.stdout)?.[1] ?? '';
  const signedIn = await fetch('http://localhost/sign-in', {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: 'http://localhost' },
    body: new URLSearchParams({ login: 'admin', password }),
  });
  expect(signedIn.status).toBe(303);
});

test('a user who was there before is used as it is, and outlives a purge', async () => {
  await guest.must('fossilrepo uninstall --purge --yes', { timeout: 300_000 });
  await guest.must('groupadd --system caddy; useradd --system --gid caddy --home-dir /var/lib/caddy caddy');
  const ran = await guest.run(`${checkout}/install.sh --yes`, { timeout: 300_000 });
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stderr).not.toContain('make the user caddy');
  await untilStatus(guest, green, 90_000);
  expect(await guest.must('ls -A /var/lib/caddy 2>/dev/null || true')).toBe('');
  await guest.must('fossilrepo uninstall --purge --yes', { timeout: 300_000 });
  await guest.must('id caddy && ! id fossil && ! id fossilrepo && ! getent group fossilrepo');
});
