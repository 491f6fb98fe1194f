import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type Guest } from './guest.ts';
import { bareServer, checkout, lines, openClone, processes, untilStatus } from './server.ts';

let guest: Guest;
beforeAll(async () => {
  guest = await bareServer('bookworm', 'plain');
});
afterAll(() => guest.close());

/** Starts a command that stays, as a container's own command would, and waits until the forge answers. @returns what it said */
async function inForeground(command: string): Promise<string> {
  await guest.must(`setsid ${command} >/root/up.log 2>&1 </dev/null & echo $! >/root/up.pid`);
  return guest.must(
    `until grep -q 'The forge answers' /root/up.log; do kill -0 $(cat /root/up.pid) || { cat /root/up.log; exit 1; }; sleep 0.2; done; sleep 0.5; cat /root/up.log`,
    { timeout: 200_000 },
  );
}

const upRecord = z.object({ pid: z.int(), parts: z.record(z.string(), z.object({ pid: z.int() })) });
const running = async () => upRecord.parse(JSON.parse(await guest.must('cat /run/fossilrepo/up.json')));

test('install.sh ends in the forge in the foreground', async () => {
  expect(await guest.must('cat /proc/1/comm')).not.toBe('systemd');
  const said = await inForeground(`${checkout}/install.sh --yes`);
  expect(said).toContain('The forge answers at http://localhost');
  expect(said.match(/with the password/g)).toHaveLength(1);
  expect((await fetch('http://localhost/health')).status).toBe(200);
});

test('each part has its own user, no more rights than under systemd, and no secret in its environment', async () => {
  const { parts } = await running();
  const users = {
    repositories: 'fossil',
    replication: 'fossilrepo',
    management: 'fossilrepo',
    edge: 'caddy',
  };
  for (const [part, user] of Object.entries(users)) {
    const pid = parts[part]?.pid ?? 0;
    // A part is started by setpriv, which becomes it.
    expect(await guest.must(`stat -c %U /proc/${pid}`), part).toBe(user);
    const status = await guest.must(`cat /proc/${pid}/status`);
    expect(status, part).toMatch(/^NoNewPrivs:\t1$/m);
    // CAP_NET_BIND_SERVICE is bit 10.
    expect(status, part).toMatch(part === 'edge' ? /^CapEff:\t0000000000000400$/m : /^CapEff:\t0{16}$/m);
    const key = await guest.must('cat /etc/fossilrepo/secrets/instance-key');
    const environment = await guest.must(
      `setpriv --reuid=${user} --regid=$(awk '/^Gid:/ { print $2 }' /proc/${pid}/status) --clear-groups ${part === 'edge' ? '--inh-caps=+net_bind_service --ambient-caps=+net_bind_service' : ''} cat /proc/${pid}/environ`,
    );
    expect(environment).toContain('FOSSILREPO_UP=/');
    expect(environment).not.toContain(key);
  }
});

test('a repository is made and cloned; a file that root puts there is taken over within 5 s', async () => {
  await guest.must('fossilrepo repo create demo');
  await openClone(guest, 'demo', '/root/clone');
  await guest.must(
    'cd /root/clone/open && export USER=admin HOME=/root/clone && echo 1 >file && fossil add file && fossil commit -m 1 --no-warnings',
  );
  const took = await guest.must(
    `began=$(date +%s%3N); USER=root fossil init /data/repos/dropped.fossil >/dev/null
     until fossilrepo repo show dropped --json 2>/dev/null | grep -q '"replicated": true'; do
       [ $(($(date +%s%3N) - began)) -lt 20000 ] || exit 1; sleep 0.1
     done; echo $(($(date +%s%3N) - began))`,
  );
  process.stdout.write(`without systemd: a dropped-in file took ${took} ms\n`);
  expect(Number(took)).toBeLessThan(5_000);
  expect(await guest.must('stat -c "%a %G" /data/repos/dropped.fossil')).toBe('660 fossilrepo');
  await untilStatus(guest, ({ ok }) => ok, 30_000);
});

test('a part that is killed comes back', async () => {
  const before = await running();
  await guest.must(`kill -9 ${before.parts['replication']?.pid ?? 0}; sleep 4`);
  const after = await running();
  expect(after.parts['replication']?.pid).not.toBe(before.parts['replication']?.pid);
  await guest.must(`kill -0 ${after.parts['replication']?.pid ?? 0}`);
});

test('Ctrl-C stops everything within 5 s', async () => {
  const { pid, parts } = await running();
  const began = Date.now();
  await guest.must(`kill -INT ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done`);
  const took = Date.now() - began;
  process.stdout.write(`without systemd: stopped in ${took} ms\n`);
  expect(took).toBeLessThan(5_000);
  for (const part of Object.values(parts)) expect((await guest.run(`kill -0 ${part.pid}`)).code).not.toBe(0);
  expect(await guest.must(processes)).toBe('');
});

test('run again, it goes on: same data, no second password', async () => {
  const said = await inForeground('fossilrepo up');
  expect(said).not.toContain('with the password');
  expect(lines(await guest.must('fossilrepo repo show demo --json')).join('\n')).toContain('"checkins": 2');
  await guest.must(
    'cd /root/clone/open && export USER=admin HOME=/root/clone && echo 2 >file && fossil commit -m 2 --no-warnings',
  );
});

test('apply reaches the parts, too', async () => {
  await guest.must("echo 'repositories: { push: 100 }' >>/etc/fossilrepo/fossilrepo.yaml");
  const before = await running();
  expect(await guest.must('fossilrepo diff')).toContain('- reload edge');
  await guest.must('fossilrepo apply');
  expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
  expect((await running()).parts['edge']).toEqual(before.parts['edge']);
});

test("a port that another program of the edge's user has is not taken for ours", async () => {
  await guest.must(
    `setsid setpriv --reuid=caddy --regid=caddy --clear-groups python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 </dev/null & echo $! >/root/other.pid
     until (: </dev/tcp/127.0.0.1/8099) 2>/dev/null; do sleep 0.1; done
     cp /etc/fossilrepo/fossilrepo.yaml /root/before.yaml; echo 'ports: { http: 8099 }' >>/etc/fossilrepo/fossilrepo.yaml`,
  );
  const refused = await guest.run('fossilrepo apply');
  expect(refused.stderr).toContain('Port 8099 on 127.0.0.1 is in use by another program');
  expect(refused.stderr).not.toContain('Port 80 ');
  await guest.must('kill $(cat /root/other.pid); cp /root/before.yaml /etc/fossilrepo/fossilrepo.yaml');
  expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
});

test('uninstall waits for it to end; then --purge leaves nothing', async () => {
  const refused = await guest.run('fossilrepo uninstall --purge --yes');
  expect(refused.code).toBe(5);
  const { pid } = await running();
  await guest.must(`kill -INT ${pid}; while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done`);
  await guest.must('fossilrepo uninstall --purge --yes', { timeout: 200_000 });
  const left =
    'ls -d /data /opt/fossilrepo* /etc/fossilrepo /var/lib/fossilrepo* /var/backups/fossilrepo /run/fossilrepo /usr/local/bin/fossilrepo';
  expect((await guest.run(left)).stdout).toBe('');
  expect((await guest.run('getent passwd fossil fossilrepo caddy')).stdout).toBe('');
});
