import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canaryName } from '../../src/repos/names.ts';
import { type Guest, suites } from './guest.ts';
import { green, installedServer, mainPids, untilStatus } from './server.ts';

const file = '/etc/fossilrepo/fossilrepo.yaml';
describe.each(suites)('apply on %s', (suite) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await installedServer(suite);
    await guest.must('fossilrepo repo create demo --visibility public');
  });
  afterAll(() => guest.close());

  const write = (text: string) => guest.must(`cat >${file} <<'END'\n${text}\nEND`);

  /** Which parts have another process than before. */
  async function restarted(work: () => Promise<unknown>): Promise<string[]> {
    const before = await mainPids(guest);
    await work();
    const after = await mainPids(guest);
    return Object.keys(before).filter((part) => before[part] !== after[part]);
  }

  test('nothing differs on a fresh server', async () => {
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
    expect(await guest.must('fossilrepo apply')).toBe('nothing to do');
  });

  test('a limit is shown by diff and applied without a restart of what serves repositories', async () => {
    await write('repositories: { push: 100 }');
    const shown = await guest.must('fossilrepo diff');
    expect(shown).toContain("- write Caddy's configuration");
    expect(shown).toMatch(/^ +\+.*100 MiB/m);
    expect(shown).toContain('- reload edge');
    expect(shown).toContain('- restart management');
    expect(await restarted(() => guest.must('fossilrepo apply'))).toEqual(['management']);
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
    await untilStatus(guest, ({ ok }) => ok, 20_000);
  });

  test('another port for Fossil restarts Fossil and reloads the edge', async () => {
    await write('ports: { fossil: 21200 }');
    const which = await restarted(() => guest.must('fossilrepo apply'));
    expect(which).toEqual(['repositories', 'management']);
    await untilStatus(guest, ({ ok }) => ok, 20_000);
  });

  test('killed between a written unit and its restart, the next apply restarts', async () => {
    await write('ports: { fossil: 21300 }');
    const which = await restarted(async () => {
      await guest.must(
        `rm -f /root/said; touch /root/said
         setsid /opt/fossilrepo/bin/fossilrepo apply >/root/said 2>&1 & pid=$!
         until grep -q 'write the unit fossilrepo-repositories' /root/said; do kill -0 $pid || exit 1; sleep 0.002; done
         kill -KILL -- -$pid; wait; true`,
      );
      expect(await guest.must('fossilrepo diff')).toContain('- restart repositories');
      await guest.must('fossilrepo apply');
    });
    expect(which).toContain('repositories');
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
    await untilStatus(guest, ({ ok }) => ok, 20_000);
  });

  test('a timer or path unit that was stopped or disabled is shown and started', async () => {
    const stopped = 'fossilrepo-ownership.path fossilrepo-sync.timer';
    await guest.must(
      `systemctl stop ${stopped}; systemctl disable fossilrepo.target fossilrepo-bundle.timer`,
    );
    expect(await guest.must('fossilrepo diff')).toBe(
      '- start fossilrepo.target, fossilrepo-ownership.path, fossilrepo-bundle.timer, fossilrepo-sync.timer, at every boot, too',
    );
    expect(await restarted(() => guest.must('fossilrepo apply'))).toEqual([]);
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
    await guest.must(`systemctl is-active ${stopped}`);
  });

  test('what was edited by hand is shown and put back', async () => {
    const edited = [
      '/etc/fossilrepo/rendered/Caddyfile',
      '/etc/systemd/system/fossilrepo-edge.service',
      '/etc/tmpfiles.d/fossilrepo.conf',
    ];
    const was = await guest.must(`sha256sum ${edited.join(' ')}; stat -c '%a %n' ${edited.join(' ')}`);
    await guest.must(
      `for file in ${edited.join(' ')}; do echo '# by hand' >>$file; done; chmod 666 ${edited[0]}`,
    );
    const shown = await guest.must('fossilrepo diff');
    expect(shown.match(/^ +-# by hand/gm)).toHaveLength(3);
    await guest.must('fossilrepo apply');
    expect(await guest.must(`sha256sum ${edited.join(' ')}; stat -c '%a %n' ${edited.join(' ')}`)).toBe(was);
  });

  // What is said of mistakes, programs and ports is the same everywhere.
  if (suite !== 'bookworm') return;

  test('a slip in a template is refused, and goes live by nobody else', async () => {
    const template = '/opt/fossilrepo/templates/litestream.yml';
    const live = 'sha256sum /var/lib/fossilrepo/litestream.yml';
    const was = await guest.must(live);
    await guest.must(`cp ${template} /root/template; sed -i 's/^l0-retention:/l0-retentoin:/' ${template}`);
    for (const command of ['diff', 'apply']) {
      const ran = await guest.run(`fossilrepo ${command}`);
      expect(ran.code, command).toBe(3);
      expect(ran.stderr).toContain('templates/litestream.yml does not say l0-retention.');
    }
    // What gives Litestream another repository would write its configuration anew.
    await guest.must('fossilrepo repo create slip');
    expect(await guest.must(live)).toBe(was);
    await guest.must(`cp /root/template ${template}; fossilrepo repo delete slip --yes`);
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
  });

  test('a mistake is told with its line, and nothing is touched', async () => {
    await write('domain: localhost\nports:\n  htpp: 80');
    const key = await guest.run('fossilrepo apply');
    expect(key.code).toBe(3);
    expect(key.stderr).toContain(`${file}:3: there is no key ports.htpp`);
    await write('domain: localhost\nreplica: { exact: 40d }');
    const rule = await guest.run('fossilrepo apply');
    expect(rule.code).toBe(3);
    expect(rule.stderr).toContain(`${file}:2`);
    await write('domain: [localhost');
    for (const command of ['diff', 'apply', 'status', 'install --yes', 'uninstall --dry-run']) {
      const ran = await guest.run(`fossilrepo ${command}`);
      expect(ran.code, command).toBe(3);
      expect(ran.stderr, command).toContain(`${file}:`);
    }
    await write('ports: { fossil: 21300 }');
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
  });

  test('a program that is too old is refused with what is needed', async () => {
    await guest.must(
      `printf '#!/bin/sh\\necho 0.5.9\\n' >/usr/local/bin/old-litestream; chmod +x /usr/local/bin/old-litestream`,
    );
    await write('ports: { fossil: 21300 }\nprograms: { litestream: /usr/local/bin/old-litestream }');
    const ran = await guest.run('fossilrepo apply');
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain(
      '/usr/local/bin/old-litestream is version 0.5.9; 0.5.17 or later is needed.',
    );
    await write('ports: { fossil: 21300 }\nprograms: { caddy: /nonexistent/caddy }');
    expect((await guest.run('fossilrepo apply')).stderr).toContain("/nonexistent/caddy can't be used");
    await write('ports: { fossil: 21300 }');
  });

  test('a port that another program has is refused before anything is touched', async () => {
    await write('ports: { fossil: 21300, http: 8099 }');
    const ran = await guest.run(
      `python3 -m http.server 8099 --bind 127.0.0.1 >/dev/null 2>&1 & pid=$!
       sleep 1; fossilrepo apply; code=$?; kill $pid; exit $code`,
    );
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('Port 8099 on 127.0.0.1 is in use by another program');
    expect(await guest.must('fossilrepo diff')).toContain("- write Caddy's configuration");
  });

  test('a reload that fails puts the former file back, and the edge serves on', async () => {
    // The port is taken after it was looked at: as soon as the new file is shown to Caddy.
    const taker = `import glob, socket, time
taken = [socket.socket(socket.AF_INET), socket.socket(socket.AF_INET6)]
while not glob.glob("/etc/fossilrepo/rendered/.fossilrepo-check-*"): time.sleep(0.002)
for one, host in zip(taken, ["127.0.0.1", "::1"]): one.bind((host, 8099)); one.listen()
time.sleep(60)`;
    const was = await guest.must('sha256sum /etc/fossilrepo/rendered/Caddyfile');
    let ran;
    const which = await restarted(async () => {
      ran = await guest.run(
        `python3 -c '${taker}' & pid=$!; fossilrepo apply; code=$?; kill $pid; exit $code`,
      );
    });
    expect(ran).toMatchObject({ code: 1 });
    expect(ran).toHaveProperty('stderr', expect.stringContaining('address already in use'));
    expect(ran).toHaveProperty('stderr', expect.stringContaining('the former one is back and in use'));
    expect(await guest.must('sha256sum /etc/fossilrepo/rendered/Caddyfile')).toBe(was);
    expect(which).not.toContain('edge');
    expect((await fetch('http://demo.localhost/')).status).toBe(200);
    // The port free again, the same command does it.
    await guest.must('fossilrepo apply');
    expect((await fetch('http://demo.localhost:8099/')).status).toBe(200);
    await write('ports: { fossil: 21300 }');
    await guest.must('fossilrepo apply');
  });

  test('a part that does not start says why', async () => {
    await guest.must(
      `printf '#!/bin/sh\\n[ "$1" != version ] || { echo 9.9.9; exit; }\\n[ "$1" != databases ] || exit 0\\necho "error: out of luck" >&2; exit 1\\n' >/usr/local/bin/old-litestream`,
    );
    await write('ports: { fossil: 21300 }\nprograms: { litestream: /usr/local/bin/old-litestream }');
    const ran = await guest.run('fossilrepo apply');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(
      'replication refused its new configuration; the former one is back and in use.',
    );
    await write('ports: { fossil: 21300 }');
    expect(await guest.must('fossilrepo diff')).toBe('- restart management');
    await guest.must('fossilrepo apply');
    await untilStatus(guest, ({ ok }) => ok, 90_000);
  });

  test('another domain, with certificates by an authority of its own', async () => {
    await guest.must(
      `echo 127.0.0.1 forge.test demo.forge.test ${canaryName}.forge.test fossilrepo-check.forge.test >>/etc/hosts`,
    );
    const secrets = 'sha256sum /etc/fossilrepo/secrets/*';
    const was = await guest.must(secrets);
    const ran = await guest.run('fossilrepo install --domain forge.test --tls internal --yes');
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain('The forge answers at https://forge.test');
    expect(ran.stdout).not.toContain('password');
    expect(await guest.must(secrets)).toBe(was);
    await untilStatus(guest, green, 60_000);
    const get = (name: string) =>
      `import ssl, urllib.request as u; c = ssl.create_default_context(cafile="/etc/fossilrepo/rendered/root.crt")
print(u.urlopen("https://${name}/", context=c).status)`;
    for (const name of ['forge.test', 'demo.forge.test'])
      expect(await guest.must(`python3 -c '${get(name)}'`)).toBe('200');
    expect(await guest.must('fossilrepo repo show demo --json')).toContain('https://demo.forge.test/');
  });

  test('an authority that was made anew turns status red, and apply publishes it', async () => {
    const home = '/var/lib/fossilrepo/home/edge';
    await guest.must(`rm -r ${home}/pki ${home}/certificates && systemctl restart fossilrepo-edge`);
    await untilStatus(
      guest,
      ({ findings }) =>
        findings.some(({ about, next }) => about === 'edge' && next.includes('fossilrepo apply')),
      30_000,
    );
    expect(await guest.must('fossilrepo diff')).toContain("the root certificate of Caddy's own authority");
    await guest.must('fossilrepo apply');
    await untilStatus(guest, green, 90_000);
    expect(await guest.must('fossilrepo diff')).toBe('nothing to do');
  });
});
