import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newPerson, type Shown } from './client.ts';
import { nobody, startForge } from './forge.ts';
import { query } from './support/fossil-lab.ts';
import { makeRemote } from './support/git-remote.ts';
import { startSshd } from './support/git-servers.ts';

test('a Git repository by SSH is imported and followed with a key of its own; another host key ends that', async () => {
  const env = { FOSSILREPO_CACHE: join(tmpdir(), `fossilrepo-cache-${nobody}`) };
  await using forge = await startForge({ as: nobody, env });
  using someone = newPerson();
  await using sshd = await startSshd();
  const remote = makeRemote(join(someone.home, 'tool.git'), { ours: true });
  remote.commit('main', 'one', { a: '1\n' });
  const key = join(someone.home, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  // What root runs hands the key over; a test's user has to be able to read it.
  if (process.getuid?.() === 0) chownSync(key, nobody, nobody);
  if (process.getuid?.() === 0) execFileSync('chmod', ['a+x', someone.home]);
  const url = sshd.url(remote.folder);
  const create = ['--json', 'repo', 'create', 'tool', '--from', url, '--ssh-key', key, '--yes'];

  const refused = await forge.cli(...create);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('refused the credential');
  sshd.authorize(readFileSync(`${key}.pub`, 'utf8').trim(), 'read');
  const made = await forge.cli(...create);
  expect(made.code, made.stderr).toBe(0);
  const { path } = JSON.parse(made.stdout) as Shown;

  remote.commit('main', 'two', { a: '2\n' });
  expect(await forge.json('upstream', 'pull', 'tool')).toMatchObject({ came: { checkins: 1 } });
  expect(query(path, "SELECT comment FROM event WHERE type = 'ci' ORDER BY mtime")).toEqual([
    { comment: 'one' },
    { comment: 'two' },
  ]);
  const secret = readFileSync(key, 'utf8').split('\n')[2] ?? '';
  const found = execFileSync('sh', ['-c', `grep -rlaF -- "$1" "$2" || true`, '-', secret, forge.root]);
  expect(found.toString()).toBe('');

  remote.commit('main', 'three', { a: '3\n' });
  await sshd.changeHostKey();
  const between = await forge.cli('upstream', 'pull', 'tool');
  expect(between.code).toBe(1);
  expect(between.stderr).toContain('SSH host key');
  expect(query(path, "SELECT count(*) AS n FROM event WHERE type = 'ci'")).toEqual([{ n: 2 }]);
});
