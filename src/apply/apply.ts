import { chmodSync, chownSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { describeStep } from '../plan/describe.ts';
import type { Step } from '../plan/steps.ts';
import type { Owner } from '../plan/wanted.ts';
import { addGroup, addUser, removeGroup, removeUser } from '../programs/accounts.ts';
import { purgePackages } from '../programs/apt.ts';
import { plainUnits } from '../plan/units.ts';
import { createTmpfiles, daemonReload, resetFailed, systemctl } from '../programs/systemd.ts';
import { partNames, unitOf } from '../stack/parts.ts';
import type { Supervisor } from '../stack/supervisor.ts';
import { findGroup, findUser, type Ids } from '../system/identity.ts';
import type { Output } from '../system/output.ts';
import type { Run } from '../system/run.ts';
import { makeInstance } from './instance.ts';
import { publish } from './publish.ts';
import { recordAccount } from './record.ts';
import { makeInstanceKey } from './secret.ts';
import { runTasks } from './tasks.ts';

/** What applying needs of the machine. */
export type Machine = { paths: Paths; config: Config; run: Run; supervisor: Supervisor; out: Output };

/**
 * Does the steps, one after the other. Each may be done twice; a killed run is finished by planning and applying again.
 * @throws OperatorError of the step that failed; rendered files that a part refuses are put back first
 */
export async function applySteps(steps: readonly Step[], machine: Machine): Promise<void> {
  const undo: (() => void)[] = [];
  await runTasks(
    grouped(steps).map((group) => ({
      title: describeGroup(group),
      run: async () => {
        for (const step of group) await applyStep(step, machine, undo);
      },
    })),
    machine.out,
  );
}

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

async function applyStep(step: Step, machine: Machine, undo: (() => void)[]): Promise<void> {
  const { run, paths, supervisor } = machine;
  switch (step.do) {
    case 'group':
      recordAccount(paths, 'groups', step.name);
      await run(addGroup(step.name));
      return;
    case 'user':
      recordAccount(paths, 'users', step.name);
      await run(addUser(step.name, step.group, step.home));
      return;
    case 'directory':
      mkdirSync(step.path, { recursive: true });
      if (step.owner) chownSync(step.path, idsOf(step.owner).uid, idsOf(step.owner).gid);
      chmodSync(step.path, step.mode);
      return;
    case 'files':
      undo.push(...[await publish(step, machine)].filter((back) => back !== undefined));
      if (existsSync(paths.tmpfiles) && step.files.some((file) => file.path === paths.tmpfiles))
        await run(createTmpfiles(paths.tmpfiles));
      return;
    case 'secret':
      makeInstanceKey(step.path);
      return;
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
    case 'part':
      try {
        await supervisor.act(step.part, step.action);
      } catch (error) {
        if (undo.length === 0) throw error;
        for (const putBack of undo.toReversed()) putBack();
        await supervisor.act(step.part, step.action);
        throw new OperatorError(
          `${step.part} refused its new configuration; the former one is back and in use.`,
          {
            next: 'Correct fossilrepo.yaml and run fossilrepo apply again.',
            cause: error,
          },
        );
      }
      return;
    case 'remove':
      rmSync(step.path, { recursive: true, force: true });
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
