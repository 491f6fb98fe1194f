import { existsSync } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { Paths } from '../config/paths.ts';
import type { Run } from '../system/run.ts';
import { foregroundSupervisor } from './foreground.ts';
import type { PartName } from './parts.ts';
import { systemdSupervisor } from './systemd.ts';

export type PartState = 'running' | 'stopped' | 'outdated';
export type PartAction = 'start' | 'reload' | 'restart' | 'stop';

/** Who keeps the parts of this server running. */
export type Supervisor = {
  kind: 'systemd' | 'foreground';
  states: () => Promise<Map<PartName, PartState>>;
  /** What has to stand ready besides the parts (`standingUnits`) and doesn't, or wouldn't after a boot. */
  atRest: () => Promise<Set<string>>;
  /** The processes that run the parts, for those that run. */
  processes: () => Promise<Map<PartName, number>>;
  /** @throws OperatorError when the part isn't in the wanted state afterwards */
  act: (part: PartName, action: PartAction) => Promise<void>;
};

/** systemd on a server that it booted; `fossilrepo up` in a container, on a laptop, or below a folder. */
export function supervisorOf(paths: Paths, config: Config, run: Run): Supervisor {
  const booted = paths.root === '/' && existsSync('/run/systemd/system');
  return booted ? systemdSupervisor(paths, run) : foregroundSupervisor(paths, config, run);
}
