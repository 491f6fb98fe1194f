import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { codeOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { type DescribedRepository, describeWith } from '../repos/describe.ts';
import type { Addressing } from '../repos/urls.ts';
import type { Repository } from '../store/repositories.ts';

/** A repository with what its file says; `facts` is undefined when the file can't be read. */
export type ListedRepository = { repository: Repository; facts: DescribedRepository | undefined };

/** Reads the facts of many repositories, and remembers those whose files have not changed since. */
export type FactReader = (
  repositories: readonly Repository[],
  addressing: Addressing,
) => Promise<ListedRepository[]>;

/** A file that was written this shortly ago could be written again without its time changing. Milliseconds. */
const settled = 100;
/** Repositories read without letting other requests have a turn: 10 to 20 ms. */
const atOnce = 20;

export function factReader(forge: Pick<Forge, 'config' | 'paths'>): FactReader {
  const known = new Map<string, { stamp: string; facts: DescribedRepository }>();
  return async (repositories, addressing) => {
    const listed: ListedRepository[] = [];
    let reads = 0;
    for (const repository of repositories) {
      const { stamp, newest } = stampOf(join(forge.paths.data, repository.file));
      const whole = `${stamp} ${addressing} ${JSON.stringify(repository)}`;
      const before = known.get(repository.id);
      if (before?.stamp === whole) {
        listed.push({ repository, facts: before.facts });
        continue;
      }
      if (++reads % atOnce === 0) await breathe();
      const facts = readOrNot(forge, repository, addressing);
      if (facts && Date.now() - newest > settled) known.set(repository.id, { stamp: whole, facts });
      else known.delete(repository.id);
      listed.push({ repository, facts });
    }
    return listed;
  };
}

/** What is wrong with a file that can't be read is said by health; the list goes on. */
function readOrNot(
  forge: Pick<Forge, 'config' | 'paths'>,
  repository: Repository,
  addressing: Addressing,
): DescribedRepository | undefined {
  try {
    return describeWith(forge, repository, addressing);
  } catch {
    return undefined;
  }
}

/** Changes with every commit: in WAL mode only the log is written until a checkpoint. */
function stampOf(file: string): { stamp: string; newest: number } {
  const found = [file, `${file}-wal`].map(statOrNot);
  return {
    stamp: found.map((stat) => (stat ? `${stat.ino}:${stat.mtimeMs}:${stat.size}` : '-')).join(' '),
    newest: Math.max(...found.map((stat) => stat?.mtimeMs ?? 0)),
  };
}

function statOrNot(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
