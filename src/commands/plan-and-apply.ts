import { applySteps } from '../apply/apply.ts';
import { inspect } from '../inspect/inspect.ts';
import { wishOf } from '../inspect/wish.ts';
import { type Found, planChanges } from '../plan/changes.ts';
import { describePlan } from '../plan/describe.ts';
import { wantedServer } from '../plan/server.ts';
import type { Step } from '../plan/steps.ts';
import type { Wanted } from '../plan/wanted.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import type { Server } from '../server.ts';
import { withLock } from '../system/locks.ts';

/** What the configuration means on this machine, and the steps to it. */
export type ServerPlan = { wanted: Wanted[]; found: Found; steps: Step[] };

/**
 * Compares the configuration with the machine.
 * @param options.parts whether the parts shall run, too
 * @param options.keys the storage's keys, when the command brings them
 */
export async function planServer(
  server: Server,
  configText: string,
  { parts = true, keys }: { parts?: boolean; keys?: StorageCredentials | undefined } = {},
): Promise<ServerPlan> {
  const wanted = wantedServer(wishOf(server, configText, keys)).filter(
    (thing) => parts || (thing.is !== 'part' && thing.is !== 'standing'),
  );
  const found = await inspect(wanted, server.paths, server.supervisor);
  return { wanted, found, steps: planChanges(wanted, found) };
}

/** Prints a plan as the command's result. @param more what else is to be known before it is done */
export function showPlan(
  server: Pick<Server, 'out'>,
  steps: readonly Step[],
  more: { data: object; text: string } = { data: {}, text: '' },
): void {
  const text = [describePlan(steps), more.text].filter((part) => part !== '').join('\n');
  server.out.result({ steps: steps.map(withoutContent), ...more.data }, text);
}

/** JSON of a step: what it does and to what; a file's text is in the text form's diff, a key nowhere. */
function withoutContent(step: Step): object {
  if (step.do === 'storage-keys') return { do: step.do, path: step.path };
  if (step.do !== 'files') return step;
  return {
    ...step,
    files: step.files.map(({ path, mode, owner, former }) => ({
      path,
      mode,
      owner,
      exists: former !== undefined,
    })),
  };
}

/** Does the steps, alone. */
export async function applyAlone(server: Server, steps: readonly Step[]): Promise<void> {
  await withLock(server.paths, 'changes', 60_000, () => applySteps(steps, server));
}
