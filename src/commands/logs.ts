import { OperatorError } from '../errors.ts';
import { journal } from '../programs/systemd.ts';
import { type GlobalOptions, openServer } from '../server.ts';
import { partNames, unitOf } from '../stack/parts.ts';
import { syncUnit } from '../plan/units.ts';
import { pass } from '../system/run.ts';
import { partNamed } from './parts.ts';

/** `fossilrepo logs [PART]`. */
export async function logs(
  options: GlobalOptions,
  name: string | undefined,
  flags: { follow: boolean; lines: string },
): Promise<void> {
  const server = openServer(options);
  const lines = Number(flags.lines);
  if (!Number.isInteger(lines) || lines < 1)
    throw new OperatorError(`${flags.lines} is no number of lines.`, { exit: 'usage' });
  if (server.supervisor.kind === 'foreground')
    throw new OperatorError('Without systemd nothing keeps logs.', {
      next: 'They are what fossilrepo up prints.',
    });
  await pass(journal(unitsOf(name), flags.follow, lines));
}

const unitsOf = (name: string | undefined): string[] => {
  if (name === undefined) return [...partNames.map(unitOf), syncUnit];
  return name === 'sync' ? [syncUnit] : [unitOf(partNamed(name))];
};
