import { join } from 'node:path';
import type { Forge } from '../forge.ts';
import { describeNewer } from '../repos/contents/describe-newer.ts';
import { newerThan } from '../repos/contents/receipts.ts';
import { isWhole } from '../repos/restore/present.ts';
import type { Repository } from '../store/repositories.ts';
import { lastDoneRestore, type Restore } from '../store/restores.ts';
import { showInstant } from '../system/instant.ts';
import { describeFormer, formerOf } from './restore-former.ts';
import { type Killed, tookPlace } from './restore-killed.ts';

/** A repository that is as it is asked for, and left so: the same command, run again, changes nothing. */
export type Already = Pick<Restore, 'id' | 'kind' | 'was'> & {
  row: Repository;
  /** The instant whose state it has, and since when. */
  at: Date;
  since: Date;
  /** What a person is to know of it. */
  text: string;
};

/**
 * Those of some repositories for which nothing is to be done. An undo is done once, whoever did it and whatever came of the command:
 * what would be taken back next is the undo itself. A restore to an instant is done once when it was killed. Nothing is done where the file was
 * lost since.
 */
export function alreadyDone(
  forge: Pick<Forge, 'store' | 'paths'>,
  rows: readonly Repository[],
  killed: readonly Killed[],
  { at, undo }: { at: Date | undefined; undo: boolean },
): Already[] {
  if (at)
    return tookPlace(forge, killed)
      .filter(({ restore }) => restore.at === at.getTime())
      .map(({ row, restore }) => asAlready(row, restore, restoredAlready(forge, row, restore)));
  return rows.flatMap((row) => {
    const restore = lastDoneRestore(forge.store, row.id);
    if (restore === undefined || (restore.kind === 'undo') !== undo) return [];
    if (!isWhole(join(forge.paths.data, row.file))) return [];
    const did = undo ? undoneAlready(row, restore) : broughtAlready(row, restore);
    const text = `${did}, and nothing is changed. ${describeFormer(formerOf(forge, row.name, restore))}`;
    return [asAlready(row, restore, text)];
  });
}

function asAlready(row: Repository, restore: Restore, text: string): Already {
  const { id, kind, was, at } = restore;
  return { id, kind, was, row, at: new Date(at), since: sinceOf(restore), text };
}

function restoredAlready(forge: Pick<Forge, 'paths'>, row: Repository, restore: Restore): string {
  const newer = newerThan(join(forge.paths.data, row.file), restore.receipt);
  const again =
    newer.artifacts + newer.receipts.length === 0
      ? []
      : [
          '  Pushed since then, and left as it is; the same command once more takes it away:',
          describeNewer(newer).replaceAll(/^/gm, '  '),
        ];
  return [
    `${row.name} is as it was at ${showInstant(new Date(restore.at))} since ${showInstant(sinceOf(restore))}. ${describeFormer(formerOf(forge, row.name, restore))}`,
    ...again,
  ].join('\n');
}

const undoneAlready = ({ name }: Repository, restore: Restore): string =>
  `The last restore of ${name} was already taken back at ${showInstant(sinceOf(restore))}`;

const broughtAlready = ({ name }: Repository, restore: Restore): string =>
  `The last restore of ${name}, to ${showInstant(new Date(restore.at))}, has its place since ${showInstant(sinceOf(restore))}`;

const sinceOf = ({ endedAt, begunAt }: Restore): Date => new Date(endedAt ?? begunAt);
