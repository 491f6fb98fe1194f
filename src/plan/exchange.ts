import type { Repository } from '../store/repositories.ts';
import { makingPlace, type RepositoryStep, type Shunned } from './repository.ts';

/** Where the state before a restore is kept, relative to the data folder. */
export const undoPlace = (restore: string): string => `work/undo/${restore}.fossil`;

/** What is put in a repository's place. Files are relative to the data folder. */
export type Exchange = {
  /** A whole file that nobody has open; it is gone afterwards. */
  from: string;
  /** What lies in the place: from one that is whole goes everything into the replica first. */
  present: 'whole' | 'damaged' | 'missing';
  /** Where what lies there is kept; undefined when there is nothing, or it is the same in another form. */
  keep: string | undefined;
  /** The restore that it is, written into the file, so that a killed one can be told. */
  restore: string | undefined;
  /** What clients may not bring back. */
  shun: readonly Shunned[];
};

/**
 * Another state of a repository in the place of its file. Until `exchange` the former state is in its place, then the other one: both are
 * whole and open, if the command is killed. In the trash nobody has to be waited for, and access is written when it comes out of it.
 */
export function planExchange(
  row: Pick<Repository, 'id' | 'name' | 'file' | 'state'>,
  exchange: Exchange,
): RepositoryStep[] {
  const { id, name, file } = row;
  const { from, present, keep, restore, shun } = exchange;
  const prepare: RepositoryStep = { do: 'prepare', id, file: from, restore, shun };
  const swap: RepositoryStep = { do: 'exchange', from, to: file, keep };
  if (row.state !== 'active') return [prepare, swap];
  return [
    prepare,
    { do: 'close', name },
    { do: present === 'whole' ? 'drain' : 'abandon', id, file },
    swap,
    { do: 'replicate', id, file },
    // Without a file it is not served.
    ...(present === 'missing' ? [{ do: 'route', name } as const] : []),
    { do: 'open', name },
    { do: 'check', id },
  ];
}

/** The same content in a file that Fossil wrote anew. The name is closed all the while: a push to the former file would be lost. */
export function planMaintenance({
  id,
  name,
  file,
}: Pick<Repository, 'id' | 'name' | 'file'>): RepositoryStep[] {
  const rebuilt = makingPlace(id);
  return [
    { do: 'close', name },
    { do: 'drain', id, file },
    { do: 'rebuild', from: file, to: rebuilt },
    { do: 'prepare', id, file: rebuilt, restore: undefined, shun: [] },
    { do: 'exchange', from: rebuilt, to: file, keep: undefined },
    { do: 'replicate', id, file },
    { do: 'open', name },
    { do: 'check', id },
  ];
}
