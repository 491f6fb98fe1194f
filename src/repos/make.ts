import { rmSync } from 'node:fs';
import { administratorLogin } from '../access/administrator.ts';
import type { Forge } from '../forge.ts';
import { fossilInit } from '../programs/fossil.ts';
import { setIdentity } from './file.ts';
import { scratch } from './scratch.ts';

/** An empty repository in a file that nobody sees yet. What an earlier, killed try left there goes first. */
export async function makeRepository(
  { run, config, paths }: Pick<Forge, 'run' | 'config' | 'paths'>,
  made: { id: string; name: string; description: string; file: string },
): Promise<void> {
  removeDatabase(made.file);
  using home = scratch(paths);
  const { file, name } = made;
  await run(
    fossilInit(config.programs.fossil, { file, name, adminUser: administratorLogin, home: home.path }),
  );
  setIdentity(made.file, { id: made.id, name: made.name, description: made.description });
}

/** A database file with what SQLite keeps beside it. */
export function removeDatabase(file: string): void {
  rmSync(file, { force: true });
  removeLogs(file);
}

/** What SQLite keeps beside a database file, which has to be there no more, or be another one. */
export function removeLogs(file: string): void {
  for (const suffix of ['-wal', '-shm', '-journal']) rmSync(`${file}${suffix}`, { force: true });
}
