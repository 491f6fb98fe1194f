import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import {
  daemonReload,
  journalSince,
  readComplaint,
  readUnits,
  showUnits,
  systemctl,
} from '../programs/systemd.ts';
import { standingUnits, triggerUnits } from '../plan/units.ts';
import { readIfThere } from '../system/files.ts';
import { isRoot } from '../system/identity.ts';
import type { Run } from '../system/run.ts';
import { type PartName, partNames, unitOf } from './parts.ts';
import type { PartState, Supervisor } from './supervisor.ts';

/** A unit that dies again at once is "active" for a moment: it has to stay so for this long. Milliseconds. */
const settled = 700;

/** Parts as systemd units. */
export function systemdSupervisor(paths: Paths, run: Run): Supervisor {
  const show = async () => readUnits((await run(showUnits(partNames.map(unitOf)))).stdout);

  /** Why a unit failed, in its own words since an instant; empty when it said nothing. */
  const lastWords = async (unit: string, since: number) =>
    readComplaint((await run({ ...journalSince(unit, since), accept: [1] })).stdout);

  const states = async () => {
    const units = await show();
    return new Map<PartName, PartState>(
      partNames.map((part) => {
        const unit = units.get(unitOf(part));
        if (unit?.active !== 'active' || !unit.enabled) return [part, 'stopped'];
        return [part, hasTodaysSecrets(unitOf(part), paths) ? 'running' : 'outdated'];
      }),
    );
  };

  const atRest = async () => {
    const units = readUnits((await run(showUnits(standingUnits))).stdout);
    return new Set<string>(
      standingUnits.filter((name) => units.get(name)?.active !== 'active' || !units.get(name)?.enabled),
    );
  };

  const processes = async () =>
    new Map(
      [...(await show())].flatMap(([unit, { pid }]) => {
        const part = partNames.find((name) => unitOf(name) === unit);
        return part === undefined || pid === 0 ? [] : [[part, pid] as const];
      }),
    );

  return {
    kind: 'systemd',
    states,
    atRest,
    processes,
    act: async (part, action) => {
      const unit = unitOf(part);
      await run(daemonReload);
      const began = Date.now();
      if (action === 'stop') {
        await run(systemctl('stop', unit));
        return;
      }
      if (action === 'start') await run(systemctl('enable', 'fossilrepo.target', ...triggerUnits, unit));
      const failed = async (cause?: unknown) => notRunning(part, await lastWords(unit, began), cause);
      await run(systemctl(action, unit)).catch(async (error: unknown) => {
        throw await failed(error);
      });
      if (action === 'start') await run(systemctl('start', 'fossilrepo.target'));
      // An update brings triggers that the running target doesn't know.
      if (action === 'start' || action === 'restart') await run(systemctl('start', ...triggerUnits));
      const before = (await show()).get(unit);
      await sleep(settled);
      const after = (await show()).get(unit);
      if (after?.active !== 'active' || after.pid !== before?.pid) throw await failed();
    },
  };
}

/** Whether a unit runs with the secrets that are in place: systemd gave it copies when it started. */
function hasTodaysSecrets(unit: string, paths: Paths): boolean {
  const given = `/run/credentials/${unit}`;
  if (!isRoot() || !existsSync(given)) return true;
  return readdirSync(given).every(
    (name) => readIfThere(join(given, name)) === readIfThere(join(paths.secrets, name)),
  );
}

const notRunning = (part: PartName, said: string, cause?: unknown) =>
  new OperatorError(`${part} does not take it${said === '' ? '.' : `: ${said}`}`, {
    next: `Read why with: fossilrepo logs ${part}`,
    cause,
  });
