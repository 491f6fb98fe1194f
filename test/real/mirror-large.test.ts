import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { compareWithGit } from '../../src/mirror/compare/compare.ts';
import { cacheFolder } from '../../src/mirror/export/place.ts';
import { eventually } from './forge.ts';
import { commitFile, query, serve } from './support/fossil-lab.ts';
import { gitHistory } from './support/git-history.ts';
import { type MirrorLab, mirrorLab } from './support/mirror-lab.ts';
import { measured, processesOf } from './processes.ts';

type Refreshed = { made: number; commits: number; memory: number };

/** In a process of its own, whose memory is known. */
async function refresh(lab: MirrorLab, id: string): Promise<Refreshed> {
  const script = join(import.meta.dirname, 'support/mirror-refresh.ts');
  const child = spawn(process.execPath, [script, lab.root, id], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said += piece.toString()));
  await once(child, 'close');
  return JSON.parse(said) as Refreshed;
}

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;

test(
  'files of 100 and 150 MB go through in memory for one of them, as it is stored',
  { timeout: 300_000 },
  async () => {
    using lab = mirrorLab();
    const repository = await lab.repository();
    repository.write('random', randomBytes(100_000_000));
    repository.write('small', 'small');
    await repository.commit('large');
    repository.write('even', Buffer.alloc(150_000_000, 'abcdefg\n'));
    await repository.commit('larger');
    const { made, memory } = await refresh(lab, repository.row.id);
    measured(`files of 100 and 150 MB: ${megabytes(memory)}`);
    expect(made).toBe(3);
    expect(memory).toBeLessThan(400_000_000);
    const { differences } = await compareWithGit(
      repository.file,
      join(cacheFolder(lab.forge.paths, repository.row.id), 'git'),
    );
    expect(differences).toEqual([]);
  },
);

test(
  '20,000 check-ins go through in bounded memory, a push to the server meanwhile waits for nothing, and each is compared',
  { timeout: 1_200_000 },
  async () => {
    using lab = mirrorLab();
    const { file, row } = await lab.imported(gitHistory(20_000, 1));
    const [theirs, home] = [join(lab.root, 'theirs.fossil'), join(lab.root, 'home')];
    copyFileSync(file, theirs);
    await commitFile(theirs, home, 'meanwhile', 'pushed meanwhile');
    await lab.must(['fossil', 'user', 'password', 'admin', 'swordfish', '-R', file]);
    const server = await serve(lab.forge.paths.repos, home);
    const began = performance.now();
    const exporting = refresh(lab, row.id);
    const atWork = () => processesOf(lab.root).some(({ argv }) => argv.includes('fast-import'));
    await eventually(atWork, 120_000, 'check-ins are written to Git');
    const pushing = performance.now();
    const url = `http://admin:swordfish@127.0.0.1:${server.port}/${basename(file, '.fossil')}`;
    const said = await lab.must(['fossil', 'push', url, '--once', '-R', theirs]);
    measured(`push during the export: ${Math.round(performance.now() - pushing)} ms`);
    // What Fossil answers says nothing.
    expect(query(file, "SELECT count(*) AS n FROM event WHERE type = 'ci'"), said).toEqual([{ n: 20_001 }]);
    expect(atWork()).toBe(true);
    await server.stop();
    const { made, memory } = await exporting;
    measured(`20,000 check-ins: ${megabytes(memory)}, ${((performance.now() - began) / 1000).toFixed(1)} s`);
    expect(made).toBe(20_000);
    expect(memory).toBeLessThan(500_000_000);
    expect((await refresh(lab, row.id)).made).toBe(1);
    expect((await refresh(lab, row.id)).made).toBe(0);
    const compared = performance.now();
    // Their manifests are one chain of differences, 20,000 long.
    const { checkins, differences } = await compareWithGit(
      file,
      join(cacheFolder(lab.forge.paths, row.id), 'git'),
    );
    measured(`20,000 check-ins compared: ${((performance.now() - compared) / 1000).toFixed(1)} s`);
    expect({ checkins, differences }).toEqual({ checkins: 20_001, differences: [] });
  },
);
