import { messageOf, OperatorError } from '../errors.ts';
import { alone, type Forge, withForge } from '../forge.ts';
import { describeRepositoryPlan } from '../plan/describe-repository.ts';
import type { RepositoryStep } from '../plan/repository.ts';
import { applyChange, changeOf } from '../repos/change.ts';
import { describeDifference } from '../repos/contents/describe-difference.ts';
import { describeNewer } from '../repos/contents/describe-newer.ts';
import { removeDatabase } from '../repos/make.ts';
import { applyRestore, planRestore } from '../repos/restore/exchange.ts';
import { type PreparedRestore, prepareRestore } from '../repos/restore/prepare.ts';
import { type PreparedUndo, prepareUndo } from '../repos/restore/undo.ts';
import { inWords } from '../repos/verify.ts';
import type { GlobalOptions } from '../server.ts';
import { findRepositoryById, type Repository } from '../store/repositories.ts';
import { answerFor, attemptAll, type Attempts, failures } from '../system/attempts.ts';
import { parseInstant, showInstant } from '../system/instant.ts';
import { agreed } from './questions.ts';
import { restoreInto } from './restore-into.ts';
import { tellKilled } from './restore-killed.ts';
import { type Done, doneAs, report } from './restore-report.ts';
import { chosenRows, nameInService, twinIn } from './restore-rows.ts';

export type RestoreFlags = {
  at?: string;
  all: boolean;
  into?: string;
  undo: boolean;
  shun: boolean;
  inTrash: boolean;
  as?: string;
  yes: boolean;
  dryRun: boolean;
};

type Prepared = PreparedRestore | PreparedUndo;

/** So many repositories are fetched, and put in their places, at a time. */
const atOnce = 4;

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
  const killed = await tellKilled(forge, rows, flags);
  // Run again, an undo that was only not told of is done.
  const before = flags.undo ? killed : [];
  const rest = rows.filter((row) => !before.some((one) => one.row === row));
  if (at) forge.out.say(`To ${showInstant(at)}:`);
  const prepared = await attemptAll(
    rest,
    atOnce,
    (row) => (at ? prepareRestore(forge, row, at) : prepareUndo(forge, row)),
    (ended, count) => {
      const not = at ? "can't be restored" : "can't be taken back";
      const what = 'error' in ended ? not : inWords(ended.value.counts);
      forge.out.say(`- ${ended.item.name}: ${what}${count}`);
    },
  );
  const ready = prepared.done.map(({ value }) => value);
  try {
    for (const one of ready) forge.out.say(describeChange(one));
    if (flags.dryRun) {
      showPlans(forge, ready, prepared, flags);
      return;
    }
    if (ready.length > 0) await agree(ready, flags);
    // With nothing to do nobody is waited for: what is to be told is told.
    const restored =
      ready.length === 0 ? { done: [], failed: [] } : await alone(forge, () => applyAll(forge, ready, flags));
    report(
      forge,
      before.map(({ row, restore }) => doneAs(row, new Date(restore.at))),
      restored,
      prepared,
    );
  } finally {
    for (const { kind, file } of ready) if (kind === 'restore') removeDatabase(`${forge.paths.data}/${file}`);
  }
}

function checkFlags(names: readonly string[], flags: RestoreFlags): void {
  const problems: [boolean, string][] = [
    [(flags.at === undefined) === !flags.undo, 'Give either --at TIME or --undo.'],
    [flags.all === names.length > 0, 'Name the repositories, or say --all.'],
    [
      flags.undo && (flags.all || flags.into !== undefined),
      '--undo takes back the last restore of the repositories that are named, in their place.',
    ],
    [
      flags.into !== undefined && (flags.as !== undefined || flags.inTrash || flags.shun),
      '--into only writes files: what is served, and in the trash, stays as it is.',
    ],
    [flags.as !== undefined && names.length !== 1, '--as is for one repository.'],
  ];
  const [, problem] = problems.find(([is]) => is) ?? [];
  if (problem !== undefined)
    throw new OperatorError(problem, {
      next: 'fossilrepo restore demo --at 2026-11-21T14:00, fossilrepo restore demo --undo, fossilrepo restore --all --at 15m',
      exit: 'usage',
    });
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

/** What a person has to know before saying yes. */
function describeChange(prepared: Prepared): string {
  const { row, difference } = prepared;
  const lines = [`${row.name}:`];
  if (difference === undefined) lines.push('  it has no file now; all of it comes back');
  else lines.push(describeDifference(difference).replaceAll(/^/gm, '  '));
  lines.push('  Members, roles, visibility and what is shunned stay as they are today.');
  if (difference && difference.artifacts.gainedShunned.length > 0)
    lines.push(
      `  ${difference.artifacts.gainedShunned.length} artifacts that are shunned come back into the file: fossilrepo repo maintain ${row.name} removes them again.`,
    );
  if ('newer' in prepared) {
    const { artifacts, receipts } = prepared.newer;
    if (artifacts + receipts.length > 0)
      lines.push(
        '  Pushed since the restore, and gone with it:',
        describeNewer(prepared.newer).replaceAll(/^/gm, '  '),
      );
  } else if (difference && difference.artifacts.lost > 0)
    lines.push(
      '  Whoever has what is lost in a clone brings it back with the next sync, unless --shun forbids it.',
    );
  return lines.join('\n');
}

async function agree(ready: readonly Prepared[], flags: RestoreFlags): Promise<void> {
  if (flags.yes) return;
  const names = ready.map(({ row }) => row.name).join(', ');
  await agreed(flags.undo ? `Take the last restore of ${names} back?` : `Restore ${names}?`, false);
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
  prepared: Attempts<Repository, Prepared>,
  flags: RestoreFlags,
): void {
  const plans = ready.map((one) => ({ one, steps: stepsOf(forge, one, flags) }));
  forge.out.result(
    {
      restored: [],
      repositories: plans.map(({ one: { row, at, difference }, steps }) => ({
        name: row.name,
        id: row.id,
        at: at.toISOString(),
        difference,
        steps,
      })),
      failed: failures(prepared),
    },
    plans.map(({ one, steps }) => `${one.row.name}:\n${describeRepositoryPlan(steps)}`).join('\n'),
  );
  answerFor(ready.length + prepared.failed.length, prepared.failed.length);
}

const applyAll = (
  forge: Forge,
  ready: readonly Prepared[],
  flags: RestoreFlags,
): Promise<Attempts<Prepared, Done>> =>
  attemptAll(
    ready,
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

async function apply(forge: Forge, prepared: Prepared, flags: RestoreFlags): Promise<Done> {
  const { row, at } = prepared;
  const name = nameInService(forge, row, flags);
  const unfinished =
    (await applyRestore(forge, prepared, flags)) ??
    (name === undefined ? undefined : await outOfTrash(forge, row, name));
  const now = findRepositoryById(forge.store, row.id)?.name ?? row.name;
  return doneAs({ id: row.id, name: now }, at, unfinished);
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
