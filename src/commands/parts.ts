import { OperatorError } from '../errors.ts';
import type { Step } from '../plan/steps.ts';
import { type GlobalOptions, openServer, stackOfServer } from '../server.ts';
import { type PartName, partNames } from '../stack/parts.ts';
import { requireOwner } from '../system/identity.ts';
import { showPlan } from './plan-and-apply.ts';

/** @throws OperatorError (usage) naming the parts there are */
export function partNamed(name: string): PartName {
  const part = partNames.find((known) => known === name);
  if (part === undefined)
    throw new OperatorError(`There is no part ${name}.`, {
      next: `The parts are ${partNames.join(', ')}.`,
      exit: 'usage',
    });
  return part;
}

/** `fossilrepo start|stop|restart [PART]`. */
export async function changeParts(
  options: GlobalOptions,
  verb: 'start' | 'stop' | 'restart',
  name: string | undefined,
  flags: { dryRun: boolean },
): Promise<void> {
  const server = openServer(options);
  requireOwner(server.paths);
  const parts = name === undefined ? [...partNames] : [partNamed(name)];
  // The edge first when stopping: nobody is let in any more; it comes last when starting.
  const inOrder = verb === 'stop' ? parts.toReversed() : parts;
  if (flags.dryRun) {
    const stack = stackOfServer(server);
    const step = (part: PartName): Step =>
      verb === 'start'
        ? { do: 'part', part, action: verb, listens: stack[part].listens }
        : { do: 'part', part, action: verb };
    showPlan(server, inOrder.map(step));
    return;
  }
  for (const part of inOrder) await server.supervisor.act(part, verb);
  const states = await server.supervisor.states();
  server.out.result(
    Object.fromEntries(states),
    parts.map((part) => `${part} ${states.get(part) ?? 'unknown'}`).join('\n'),
  );
}
