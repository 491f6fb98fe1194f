import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { z } from 'zod';
import { type Paths, pathsUnder, ownProgram } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { drainDatabase } from '../repos/drain.ts';
import { removeDatabase } from '../repos/make.ts';
import { settleAsides } from '../repos/restore/aside.ts';
import { fetchState, findState, haveRoom } from '../repos/restore/prepare.ts';
import { inWords, type StateCounts } from '../repos/verify.ts';
import type { GlobalOptions } from '../server.ts';
import type { Repository } from '../store/repositories.ts';
import { answerFor, attemptAll, failures } from '../system/attempts.ts';
import { isRoot } from '../system/identity.ts';
import { showInstant } from '../system/instant.ts';
import { type Output, terminal } from '../system/output.ts';
import { chosenRows, twinIn } from './restore-rows.ts';

type Wish = { at: Date; into: string; all: boolean; dryRun: boolean };

/** `restore --into`: only writes the files, as they were, access of then included. Nothing that is served is touched. */
export async function restoreInto(
  options: GlobalOptions,
  names: readonly string[],
  wish: Wish,
): Promise<void> {
  const paths = pathsUnder(options.root);
  const into = resolve(wish.into);
  if (!existsSync(into) || !statSync(into).isDirectory())
    throw new OperatorError(`There is no folder ${into}.`, { next: `Make it: mkdir ${into}`, exit: 'usage' });
  if (isRoot() && statSync(into).uid !== statSync(paths.tmp).uid)
    handOver(options, names, { ...wish, into }, paths);
  else
    await withForge(options, (forge) =>
      writeStates(forge, chosenRows(forge, names, wish, wish.at), { ...wish, into }),
    );
}

async function writeStates(
  forge: Forge,
  rows: readonly Repository[],
  { at, into, dryRun }: Wish,
): Promise<void> {
  const twin = twinIn(rows.map(({ name }) => name));
  if (twin !== undefined)
    throw new OperatorError(`Two of them would be written as ${twin}.fossil.`, {
      next: 'Write one after the other, each into a folder of its own.',
      exit: 'usage',
    });
  // What killed ones left may be the room that is missing.
  settleAsides(forge);
  forge.out.say(`To ${showInstant(at)}:`);
  if (dryRun) {
    await showStates(forge, rows, at, into);
    return;
  }
  const attempts = await attemptAll(
    rows,
    8,
    (row) => writeState(forge, row, at, fileOf(row, into)),
    (ended, count) => {
      const what = 'error' in ended ? 'could not be written' : inWords(ended.value.counts);
      forge.out.say(`- ${ended.item.name}: ${what}${count}`);
    },
  );
  const restored = attempts.done.map(({ item, value }) => ({
    name: item.name,
    id: item.id,
    at: at.toISOString(),
    undo: null,
    file: value.file,
  }));
  tell(forge.out, { restored, failed: failures(attempts) });
}

const fileOf = ({ name }: Repository, into: string): string => join(into, `${name}.fossil`);

/** A file that is only written is needed once, wherever it lies before it is handed over. */
const roomForFile = {
  copies: 1,
  next: 'Make room there, or name a folder on another disk that belongs to the user fossilrepo: what is for others lies below /data first.',
};

/** What would be written: only looked for in the replica. */
async function showStates(forge: Forge, rows: readonly Repository[], at: Date, into: string): Promise<void> {
  const attempts = await attemptAll(rows, 8, async (row) => {
    const file = fileOf(row, into);
    refuseExisting(file);
    const { moment } = await findState(forge, row, at);
    haveRoom(into, moment.databaseBytes, roomForFile);
    return { file, bytes: moment.databaseBytes };
  });
  const repositories = attempts.done.map(({ item: { name, id }, value }) => ({
    name,
    id,
    at: at.toISOString(),
    ...value,
  }));
  tell(forge.out, { restored: [], repositories, failed: failures(attempts) });
}

async function writeState(
  forge: Forge,
  row: Repository,
  at: Date,
  file: string,
): Promise<{ file: string; counts: StateCounts }> {
  refuseExisting(file);
  try {
    const counts = await fetchState(forge, row, at, file, roomForFile);
    // One file, without a log beside it.
    await drainDatabase(file);
    chmodSync(file, 0o600);
    return { file, counts };
  } catch (error) {
    removeDatabase(file);
    throw error;
  }
}

function refuseExisting(file: string): void {
  if (existsSync(file))
    throw new OperatorError(`${file} is there already.`, { next: 'Name an empty folder.', exit: 'usage' });
}

const answer = z.object({
  restored: z.array(
    z.object({ name: z.string(), id: z.string(), at: z.string(), undo: z.null(), file: z.string() }),
  ),
  /** With `--dry-run`: what would be written. */
  repositories: z
    .array(
      z.object({ name: z.string(), id: z.string(), at: z.string(), file: z.string(), bytes: z.number() }),
    )
    .optional(),
  failed: z.array(z.object({ name: z.string(), error: z.string() })),
});

/**
 * Root's folders can't be written by the service user, and nothing that tenants wrote is read as root: a process of our own fetches into a
 * folder of the service user's, and only whole, checked files are moved from there.
 */
function handOver(
  options: GlobalOptions,
  names: readonly string[],
  { at, into, all, dryRun }: Wish,
  paths: Paths,
): void {
  const staged = join(paths.tmp, `into-${randomUUID()}`);
  const { uid, gid } = statSync(paths.tmp);
  mkdirSync(staged, { mode: 0o700 });
  chownSync(staged, uid, gid);
  try {
    const what = [...(all ? ['--all'] : names), ...(dryRun ? ['--dry-run'] : [])];
    const child = spawnSync(
      ownProgram,
      ['--root', options.root, '--json', 'restore', ...what, '--at', at.toISOString(), '--into', staged],
      { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' },
    );
    process.exitCode = child.status ?? 1;
    const parsed = child.stdout === '' ? undefined : answer.parse(JSON.parse(child.stdout));
    if (parsed === undefined) return;
    const there = <T extends { file: string }>(one: T): T => ({
      ...one,
      file: join(into, basename(one.file)),
    });
    const restored = parsed.restored.map(there);
    const repositories = parsed.repositories?.map(there);
    for (const { file } of [...restored, ...(repositories ?? [])]) refuseExisting(file);
    for (const { bytes } of repositories ?? []) haveRoom(into, bytes, roomForFile);
    for (const { file } of restored) give(join(staged, basename(file)), file, into);
    tell(terminal(options.json), { ...parsed, restored, ...(repositories && { repositories }) });
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

function give(from: string, to: string, folder: string): void {
  haveRoom(folder, statSync(from).size, roomForFile);
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  const { uid, gid } = statSync(folder);
  chownSync(to, uid, gid);
  chmodSync(to, 0o600);
}

function tell(out: Output, result: z.output<typeof answer>): void {
  const { restored, repositories, failed } = result;
  out.result(
    result,
    [
      ...failed.map(
        ({ name, error }) => `${name} ${repositories ? "can't be" : 'was not'} written: ${error}`,
      ),
      ...restored.map(({ file }) => file),
      ...(repositories ?? []).map(({ file, bytes }) => `${file} would be written: ${prettyBytes(bytes)}`),
    ].join('\n'),
  );
  answerFor(restored.length + (repositories ?? []).length + failed.length, failed.length);
}
