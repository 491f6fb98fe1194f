import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { asForgesUser } from './forge.ts';

/** Runs test/all. Each of these has to be refused; one that isn't must not run all tests within a test. */
async function testAll(before: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const args = ['60', ...before, join(programHome, 'test/all')];
  const { exitCode, stdout, stderr } = await execa('timeout', args, { env, reject: false });
  return { exitCode, stdout, stderr };
}

// All that is said: nothing was fetched, no stage was begun.
const refusal = (what: string, next: string) => ({
  exitCode: 1,
  stdout: '',
  stderr: `error: ${what}\nnext:  ${next}`,
});

test('fresh servers for an ordinary user are refused at once', async () => {
  expect(await testAll(asForgesUser())).toEqual(
    refusal(
      'The tests that boot fresh servers need root.',
      'Run: sudo test/all, or leave them out: test/all --without-guests',
    ),
  );
});

test('where systemd-nspawn is not installed an ordinary user is told what adds it', async () => {
  // dpkg's own list of what is installed, without one package.
  const folder = mkdtempSync(join(tmpdir(), 'dpkg-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const packages = readFileSync('/var/lib/dpkg/status', 'utf8').split('\n\n');
  const others = packages.filter((one) => !one.startsWith('Package: systemd-container\n'));
  expect(others.length).toBe(packages.length - 1);
  writeFileSync(join(folder, 'status'), others.join('\n\n'));
  chmodSync(folder, 0o755);
  expect(await testAll(asForgesUser(), { DPKG_ADMINDIR: folder })).toEqual(
    refusal(
      'Tests need Debian packages that are missing: systemd-container.',
      'Run: sudo apt-get install --no-install-recommends systemd-container',
    ),
  );
});

test('fresh servers are refused at once where root may make no namespaces, as in most containers', async () => {
  const confined = ['setpriv', '--inh-caps', '-sys_admin', '--bounding-set', '-sys_admin', '--'];
  expect(await testAll(confined)).toEqual(
    refusal(
      'Fresh servers cannot be booted here: this machine allows no new namespaces.',
      'Use a machine of its own, or leave them out: test/all --without-guests',
    ),
  );
});
