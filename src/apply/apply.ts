import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { codeOf, messageOf, OperatorError } from '../errors.ts';
import { describeStep } from '../plan/describe.ts';
import type { Step } from '../plan/steps.ts';
import type { Owner } from '../plan/wanted.ts';
import { addGroup, addUser, removeGroup, removeUser } from '../programs/accounts.ts';
import { purgePackages } from '../programs/apt.ts';
import { plainUnits } from '../plan/units.ts';
import { createTmpfiles, daemonReload, resetFailed, systemctl } from '../programs/systemd.ts';
import { renderStorageCredentials } from '../secrets/storage.ts';
import { partNames, unitOf } from '../stack/parts.ts';
import type { Supervisor } from '../stack/supervisor.ts';
import { findGroup, findUser, type Ids } from '../system/identity.ts';
import { readIfThere } from '../system/files.ts';
import type { Output } from '../system/output.ts';
import type { Run } from '../system/run.ts';
import { forgetDue, noteDue } from './due.ts';
import { makeInstance } from './instance.ts';
import { publish } from './publish.ts';
import { recordMade } from './record.ts';
import { makeInstanceKey, writeStorageKeys } from './secret.ts';
import { runTasks } from './tasks.ts';

/** What applying needs of the machine. */
export type Machine = { paths: Paths; config: Config; run: Run; supervisor: Supervisor; out: Output };

/**
 * Does the steps, one after the other. Each may be done twice; a killed run is finished by planning and applying again.
 * @throws OperatorError of the step that failed; rendered files that a part refuses are put back first
 */
export async function applySteps(steps: readonly Step[], machine: Machine): Promise<void> {
  const done: Done = { putBack: [], acted: [] };
  await runTasks(
    grouped(steps).map((group) => ({
      title: describeGroup(group),
      run: async () => {
        for (const step of group) await applyStep(step, machine, done);
      },
    })),
    machine.out,
  );
}

/** What to take back when a part refuses what was written for it. */
type Done = { putBack: (() => void)[]; acted: PartStep[] };
type PartStep = Extract<Step, { do: 'part' }>;

/** Folders and removals come in dozens: one line for a run of them keeps the list on one screen. */
const inOneLine: Partial<Record<Step['do'], string>> = { directory: 'folders', remove: 'removals' };

function grouped(steps: readonly Step[]): Step[][] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    if (last?.[0]?.do === step.do && step.do in inOneLine) last.push(step);
    else groups.push([step]);
  }
  return groups;
}

function describeGroup(group: readonly Step[]): string {
  const [first] = group;
  if (first === undefined) return '';
  return group.length === 1
    ? describeStep(first)
    : `${describeStep(first)} and ${group.length - 1} more ${inOneLine[first.do] ?? ''}`;
}

async function applyStep(step: Step, machine: Machine, done: Done): Promise<void> {
  const { run, paths } = machine;
  switch (step.do) {
    case 'group':
      recordMade(paths, 'groups', step.name);
      await run(addGroup(step.name));
      return;
    case 'user':
      recordMade(paths, 'users', step.name);
      await run(addUser(step.name, step.group, step.home));
      return;
    case 'directory':
      if (!step.exists && step.path === paths.data) recordMade(paths, 'folders', step.path);
      mkdirSync(step.path, { recursive: true });
      if (step.owner) chownSync(step.path, idsOf(step.owner).uid, idsOf(step.owner).gid);
      chmodSync(step.path, step.mode);
      if (step.path === paths.locks) giveLocks(paths);
      return;
    case 'files':
      done.putBack.push(...[await publish(step, machine)].filter((back) => back !== undefined));
      if (existsSync(paths.tmpfiles) && step.files.some((file) => file.path === paths.tmpfiles)) {
        await run(createTmpfiles(paths.tmpfiles));
        giveLocks(paths);
      }
      return;
    case 'secret':
      makeInstanceKey(step.path);
      return;
    case 'storage-keys': {
      noteDue(paths, step.then);
      const former = readIfThere(step.path);
      writeStorageKeys(step.path, renderStorageCredentials(step.keys.id, step.keys.secret));
      if (former !== undefined) done.putBack.push(() => writeStorageKeys(step.path, former));
      return;
    }
    case 'instance':
      await makeInstance(paths);
      return;
    case 'units':
      await run(daemonReload);
      return;
    case 'disable':
      await run({ ...systemctl('disable', '--now', ...plainUnits, ...partNames.map(unitOf)), accept: [1] });
      await run(resetFailed);
      return;
    case 'standing':
      await run(systemctl('enable', ...step.units));
      await run(systemctl('start', ...step.units));
      return;
    case 'part':
      await actOn(step, machine, done);
      return;
    case 'remove':
      removeAll(step.path);
      return;
    case 'remove-program':
      // In a session of its own: what kills us half way, as Ctrl-C on the terminal, lets it finish.
      await run({ argv: ['rm', '-rf', '--', ...step.paths], detached: true });
      return;
    case 'remove-user':
      await run(removeUser(step.name));
      return;
    case 'remove-group':
      await run(removeGroup(step.name));
      return;
    case 'remove-packages':
      await run(purgePackages(step.names));
      return;
  }
}

/** Lets a part take what was written. What it refuses is put back, for the parts that took it already, too. */
async function actOn(step: PartStep, { supervisor, paths }: Machine, done: Done): Promise<void> {
  try {
    await supervisor.act(step.part, step.action);
  } catch (error) {
    if (done.putBack.length === 0) throw error;
    for (const putBack of done.putBack.toReversed()) putBack();
    for (const { part, action } of [...done.acted, step])
      await supervisor.act(part, action === 'start' ? 'restart' : action);
    forgetDue(paths);
    // It has just started with the fossilrepo.yaml that was refused, whatever that will say next.
    noteDue(paths, [{ part: 'management', action: 'restart' }]);
    throw new OperatorError(
      `${step.part} refused its new configuration; the former one is back and in use. ${messageOf(error)}`,
      { next: 'Correct fossilrepo.yaml and run fossilrepo apply again.', cause: error },
    );
  }
  forgetDue(paths, step.part);
  done.acted.push(step);
}

/** Our own lock is older than the folder's owner, who has to be able to take it next. */
function giveLocks({ locks }: Paths): void {
  if (!existsSync(locks)) return;
  const { uid, gid } = statSync(locks);
  for (const name of readdirSync(locks)) lchownSync(join(locks, name), uid, gid);
}

/** A folder on which a disk is mounted is emptied and stays. */
function removeAll(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (codeOf(error) !== 'EBUSY' || readdirSync(path).length > 0) throw error;
  }
}

/** @throws OperatorError when the user or group does not exist */
export function idsOf(owner: Owner): Ids {
  const uid = findUser(owner.user)?.uid;
  const gid = findGroup(owner.group);
  if (uid === undefined || gid === undefined)
    throw new OperatorError(`There is no user ${owner.user} or no group ${owner.group}.`, {
      next: 'Run fossilrepo install.',
    });
  return { uid, gid };
}
