import { messageOf, OperatorError } from '../errors.ts';
import { alone, type Forge, withForge } from '../forge.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import type { RepositoryStep } from '../plan/repository.ts';
import { applyChange, changeOf } from '../repos/change.ts';
import { openAside } from '../repos/restore/aside.ts';
import { applyRestore, planRestore } from '../repos/restore/exchange.ts';
import { type PreparedRestore, prepareRestore } from '../repos/restore/prepare.ts';
import { type PreparedUndo, prepareUndo } from '../repos/restore/undo.ts';
import { inWords } from '../repos/verify.ts';
import type { GlobalOptions } from '../server.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import { noteTold } from '../store/restores.ts';
import { answerFor, attemptAll, type Attempts, failures } from '../system/attempts.ts';
import { parseInstant, showInstant } from '../system/instant.ts';
import { agreed } from './questions.ts';
import { type Already, alreadyDone } from './restore-already.ts';
import { describeChange } from './restore-change.ts';
import { checkFlags, type RestoreFlags } from './restore-flags.ts';
import { restoreInto } from './restore-into.ts';
import { backFrom, formerOf } from './restore-former.ts';
import { refuseAgeAgain, tellKilled } from './restore-killed.ts';
import { cameLate, type Done, doneAs, leftAs, report } from './restore-report.ts';
import { chosenRows, nameInService, twinIn } from './restore-rows.ts';

type Prepared = PreparedRestore | PreparedUndo;
/** What is to be put into its place, or only out of the trash. */
type Work = Prepared | Already;

/** So many repositories are fetched, and put in their places, at a time. */
const atOnce = 4;

/** What is to be done, as options: an age was another time when it was typed. */
const wordsOf = ({ undo, shun, inTrash }: RestoreFlags, at: Date | undefined): string =>
  at
    ? [`--at ${at.toISOString()}`, ...(shun ? ['--shun'] : []), ...(inTrash ? ['--in-trash'] : [])].join(' ')
    : undo
      ? '--undo'
      : '--redo';

/** `fossilrepo restore`: brings repositories back to an instant, or takes the last restore back. Answers 6 when some failed. */
export async function restore(
  options: GlobalOptions,
  names: readonly string[],
  flags: RestoreFlags,
): Promise<void> {
  checkFlags(names, flags);
  const at = flags.at === undefined ? undefined : parseInstant(flags.at);
  if (flags.into !== undefined && at !== undefined)
    await restoreInto(options, names, { at, into: flags.into, all: flags.all, dryRun: flags.dryRun });
  else
    await withForge(options, (forge) =>
      restoreInPlace(forge, chosenRows(forge, names, flags, at), at, flags),
    );
}

async function restoreInPlace(
  forge: Forge,
  rows: readonly Repository[],
  at: Date | undefined,
  flags: RestoreFlags,
): Promise<void> {
  refuseTwins(rows.map((row) => nameInService(forge, row, flags) ?? row.id));
  const killed = await tellKilled(forge, rows);
  if (flags.at !== undefined && at) refuseAgeAgain(forge, killed, flags.at, at);
  const already = alreadyDone(forge, rows, killed, { at, undo: flags.undo });
  const rest = rows.filter((row) => !already.some((one) => one.row === row));
  if (!flags.dryRun)
    for (const { row, restore } of killed) if (rest.includes(row)) noteTold(forge.store, restore.id);
  if (at) forge.out.say(`To ${showInstant(at)}:`);
  // Until all of it is in its place: what is left there then was of no use, or failed.
  using aside = openAside(forge.paths, { noted: !flags.dryRun });
  const prepared = await attemptAll(
    rest,
    atOnce,
    (row) =>
      at
        ? prepareRestore(forge, row, at, aside)
        : prepareUndo(forge, row, flags.undo ? 'undo' : 'restore', aside),
    (ended, count) => {
      const not = at ? "can't be restored" : flags.undo ? "can't be taken back" : "can't be brought again";
      const what = 'error' in ended ? not : inWords(ended.value.counts);
      forge.out.say(`- ${ended.item.name}: ${what}${count}`);
    },
  );
  const ready = prepared.done.map(({ value }) => value);
  for (const one of ready) forge.out.say(describeChange(one, flags));
  if (flags.dryRun) {
    showPlans(forge, ready, already, prepared, flags);
    return;
  }
  if (ready.length > 0) await agree(ready, flags);
  // A killed restore out of the trash may have got no further than there.
  const inTrash = already.filter(({ row }) => nameInService(forge, row, flags) !== undefined);
  const work = [...ready, ...inTrash];
  // With nothing to do nobody is waited for: what is to be told is told.
  const restored =
    work.length === 0 ? { done: [], failed: [] } : await alone(forge, () => applyAll(forge, work, flags));
  const left = already.filter((one) => !inTrash.includes(one));
  report(forge, left, restored, prepared, {
    words: wordsOf(flags, at),
    back: backFrom(flags.undo ? 'undo' : 'restore'),
  });
  for (const { id } of [...left, ...restored.done.map(({ item }) => item)]) noteTold(forge.store, id);
}

/** @throws OperatorError (usage) when two would come back under one name */
function refuseTwins(names: readonly string[]): void {
  const twin = twinIn(names);
  if (twin !== undefined)
    throw new OperatorError(`Two of them would come back as ${twin}.`, {
      next: 'Restore one after the other, the second with --as, or both with --in-trash.',
      exit: 'usage',
    });
}

async function agree(ready: readonly Prepared[], flags: RestoreFlags): Promise<void> {
  if (flags.yes) return;
  const names = ready.map(({ row }) => row.name).join(', ');
  const question = flags.undo
    ? `Take the last restore of ${names} back?`
    : flags.redo
      ? `Bring what the last restore of ${names} had brought once more?`
      : `Restore ${names}?`;
  await agreed(question, false);
}

/** The steps of one, those out of the trash included. */
function stepsOf(forge: Forge, prepared: Prepared, flags: RestoreFlags): RepositoryStep[] {
  const { row } = prepared;
  const steps = planRestore(forge, prepared, flags);
  const name = nameInService(forge, row, flags);
  return name === undefined
    ? steps
    : [...steps, ...changeOf(forge, row, { state: 'active', deletedAt: null, name }).steps];
}

function showPlans(
  forge: Forge,
  ready: readonly Prepared[],
  already: readonly Already[],
  prepared: Attempts<Repository, Prepared>,
  flags: RestoreFlags,
): void {
  const plans = ready.map((one) => ({ one, steps: stepsOf(forge, one, flags) }));
  forge.out.result(
    {
      restored: [],
      already: already.map(leftAs),
      repositories: plans.map(({ one: { row, at, present }, steps }) => ({
        name: row.name,
        id: row.id,
        at: at.toISOString(),
        present: present.is,
        difference: present.is === 'whole' ? present.difference : undefined,
        steps,
      })),
      failed: failures(prepared),
    },
    [
      ...already.map(({ text }) => text),
      ...plans.map(({ one, steps }) => `${one.row.name}:\n${describeRepositoryPlan(steps)}`),
    ].join('\n'),
  );
  answerFor(already.length + ready.length + prepared.failed.length, prepared.failed.length);
}

const applyAll = (forge: Forge, work: readonly Work[], flags: RestoreFlags): Promise<Attempts<Work, Done>> =>
  attemptAll(
    work,
    atOnce,
    (one) => apply(forge, one, flags),
    (ended, count) => {
      const { row, at } = ended.item;
      const what =
        'error' in ended
          ? `${row.name} was not restored`
          : `${ended.value.name} is as it was at ${showInstant(at)}`;
      forge.out.say(`- ${what}${count}`);
    },
  );

async function apply(forge: Forge, work: Work, flags: RestoreFlags): Promise<Done> {
  const { row, kind, at } = work;
  const name = nameInService(forge, row, flags);
  const unfinished =
    ('file' in work ? await applyRestore(forge, work, flags) : undefined) ??
    (name === undefined ? undefined : await outOfTrash(forge, row, name));
  const now = findRepositoryById(forge.store, row.id)?.name ?? row.name;
  const was = 'present' in work ? work.present.is : work.was;
  const former = formerOf(forge, now, { id: work.id, kind, was });
  const late = 'present' in work ? cameLate(work, former) : undefined;
  return { ...doneAs({ id: row.id, name: now }, at, former, unfinished), late };
}

/** @returns why it is not in service, or not all is done for that */
async function outOfTrash(forge: Forge, row: Repository, name: string): Promise<string | undefined> {
  try {
    await applyChange(forge, changeOf(forge, row, { state: 'active', deletedAt: null, name }));
    return undefined;
  } catch (error) {
    return `taking it out of the trash failed: ${messageOf(error)} What becomes of it: fossilrepo repo list --trash, and repo undelete.`;
  }
}
