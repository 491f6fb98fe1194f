import { setTimeout as sleep } from 'node:timers/promises';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { daemonReload, readUnits, showUnits, systemctl } from '../programs/systemd.ts';
import type { Run } from '../system/run.ts';
import { type PartName, partNames, unitOf } from './parts.ts';
import type { PartState, Supervisor } from './supervisor.ts';

/** A unit that dies again at once is "active" for a moment: it has to stay so for this long. Milliseconds. */
const settled = 700;

/** Parts as systemd units. */
export function systemdSupervisor(_paths: Paths, run: Run): Supervisor {
  const show = async () => readUnits((await run(showUnits(partNames.map(unitOf)))).stdout);

  const states = async () => {
    const units = await show();
    return new Map<PartName, PartState>(
      partNames.map((part) => {
        const unit = units.get(unitOf(part));
        return [part, unit?.active === 'active' && unit.enabled ? 'running' : 'stopped'];
      }),
    );
  };

  return {
    kind: 'systemd',
    states,
    act: async (part, action) => {
      const unit = unitOf(part);
      await run(daemonReload);
      if (action === 'stop') {
        await run(systemctl('stop', unit));
        return;
      }
      if (action === 'start')
        await run(systemctl('enable', 'fossilrepo.target', 'fossilrepo-ownership.path', unit));
      await run(systemctl(action, unit)).catch((error: unknown) => {
        throw notRunning(part, error);
      });
      if (action === 'start') await run(systemctl('start', 'fossilrepo.target', 'fossilrepo-ownership.path'));
      const before = (await show()).get(unit);
      await sleep(settled);
      const after = (await show()).get(unit);
      if (after?.active !== 'active' || after.pid !== before?.pid) throw notRunning(part);
    },
  };
}

const notRunning = (part: PartName, cause?: unknown) =>
  new OperatorError(`${part} does not stay up.`, {
    next: `Read why with: fossilrepo logs ${part}`,
    cause,
  });
