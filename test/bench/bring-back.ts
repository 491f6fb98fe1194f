import { chownSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startForge, type TestForge } from '../real/forge.ts';
import { startS3, type S3 } from '../real/s3.ts';
import { bareRestore, emptied } from './bare-restore.ts';
import { fillUpTo } from './many.ts';
import { type Bench, type Row, time } from './row.ts';
import { interleaved, timed } from './timing.ts';

type Listed = { repositories: { name: string; id: string }[] };

const goal = '1.2 times';

/**
 * Small repositories from S3: all of them into a folder, and the whole server on an empty root; each beside Litestream alone, eight at a
 * time. The least of a few rounds counts, since whatever else the machine does only makes it longer.
 */
export async function bringAllBack({ quick, say }: Bench): Promise<Row[]> {
  await using s3 = await startS3();
  await using forge = await startForge({ s3 });
  const count = quick ? 12 : 1_000;
  await fillUpTo(forge, count);
  const { repositories } = await forge.json<Listed>('repo', 'list');
  const ids = repositories.map(({ id }) => id);
  const bare = () => bareRestore(forge, ids, emptied(forge, 'bare'), s3);
  const rounds = quick ? 1 : 2;
  say(`${ids.length} repositories into a folder`);
  const running = await interleaved(rounds, {
    bare,
    into: () => forge.json('restore', '--all', '--at', 'now', '--into', emptied(forge, 'into')),
  });
  const written = readdirSync(join(forge.root, 'into')).length;
  if (written !== ids.length) throw new Error(`${written} of ${ids.length} repositories were written`);
  await forge.stop();
  say('the whole server');
  const told = (what: string, took: readonly number[]) => say(`${what}: ${took.map(time).join(', ')}`);
  told('into a folder', running.into);
  told('Litestream alone', running.bare);
  const alone = [await timed(bare)];
  const whole: Awaited<ReturnType<typeof broughtBack>>[] = [];
  for (let round = 0; round < rounds; round++) {
    whole.push(await broughtBack(forge, s3, ids.length));
    alone.push(await timed(bare));
  }
  told('Litestream alone', alone);
  for (const { all, repositories } of whole)
    told('repositories, until the server is up', [repositories, all]);
  const row = (name: string, ours: number, instead: readonly number[], more = ''): Row => {
    const least = Math.min(...instead);
    return {
      name: `${name}, ${ids.length} repositories from S3`,
      ours: `${time(ours)}, ${(ours / least).toFixed(2)} times${more}`,
      instead: `xargs -P8 litestream restore, nothing checked: ${time(least)}`,
      goal,
      met: ours <= 1.2 * least,
    };
  };
  const repositoriesOnly = Math.min(...whole.map(({ repositories }) => repositories));
  const all = Math.min(...whole.map(({ all }) => all));
  return [
    row('restore --all --into', Math.min(...running.into), running.bare),
    row(
      'install --from, its repositories',
      repositoriesOnly,
      alone,
      `; until the server is up: ${time(all)}`,
    ),
  ];
}

/** @returns how long it took until the server is up again, and the repositories of it. Milliseconds. */
async function broughtBack(
  former: TestForge,
  s3: S3,
  count: number,
): Promise<{ repositories: number; all: number }> {
  await using bare = await startForge({ bare: true, patience: 3_600_000 });
  const [, key = ''] = /The recovery key is (AGE-SECRET-KEY-1\S+)/.exec(former.log()) ?? [];
  const give = (name: string, text: string): string => {
    const file = join(bare.root, name);
    writeFileSync(file, text, { mode: 0o600 });
    const { uid, gid } = statSync(bare.root);
    chownSync(file, uid, gid);
    return file;
  };
  const keys = `[default]\naws_access_key_id = ${s3.accessKeyId}\naws_secret_access_key = ${s3.secretAccessKey}\n`;
  const ended = new AbortController();
  const seen = { begun: 0, done: 0 };
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const now = performance.now();
      if (seen.begun === 0 && bare.log().includes('Fetching and checking')) seen.begun = now;
      if (seen.done === 0 && bare.log().includes('repositories are back')) seen.done = now;
      await sleep(20);
    }
  })();
  const began = performance.now();
  try {
    await bare.start(
      ...['install', '--from', `s3://${s3.bucket}/forge`, '--endpoint', s3.endpoint, '--takeover', '--yes'],
      ...['--recovery-key', give('key', key), '--storage-keys', give('keys', keys)],
    );
  } finally {
    ended.abort();
    await watching;
  }
  const all = performance.now() - began;
  const { repositories } = await bare.json<Listed>('repo', 'list');
  if (repositories.length !== count)
    throw new Error(`${repositories.length} of ${count} repositories are back`);
  return { repositories: seen.done - seen.begun, all };
}
