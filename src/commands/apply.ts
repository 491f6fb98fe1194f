import { readFileSync } from 'node:fs';
import { isElsewhere } from '../backup/fence.ts';
import { asRunBefore, preflight, refuseUnless } from '../inspect/preflight.ts';
import { checkReplica } from '../inspect/replica.ts';
import type { Step } from '../plan/steps.ts';
import { storedKeys } from '../secrets/given.ts';
import { readUp } from '../stack/foreground.ts';
import { type GlobalOptions, openServer, type Server } from '../server.ts';
import { openStore } from '../store/store.ts';
import { requireOwner } from '../system/identity.ts';
import { applyAlone, planServer, type ServerPlan, showPlan } from './plan-and-apply.ts';
import { renewBundle } from './seal-bundle.ts';

async function planHere(options: GlobalOptions): Promise<{ server: Server; plan: ServerPlan }> {
  const server = openServer(options);
  requireOwner(server.paths);
  // Without systemd only `fossilrepo up` can start parts; what runs under it is reloaded or restarted.
  const parts = server.supervisor.kind === 'systemd' || readUp(server.paths) !== undefined;
  return { server, plan: await planServer(server, readFileSync(server.paths.config, 'utf8'), { parts }) };
}

/** `fossilrepo diff`: what apply would change, edits made by hand included. Answers 0 either way. */
export async function diff(options: GlobalOptions): Promise<void> {
  const { server, plan } = await planHere(options);
  showPlan(server, plan.steps);
}

/** `fossilrepo apply`: makes the server what fossilrepo.yaml says, restarting only what has to be. */
export async function apply(options: GlobalOptions, flags: { dryRun?: boolean }): Promise<void> {
  const { server, plan } = await planHere(options);
  if (flags.dryRun || plan.steps.length === 0) {
    showPlan(server, plan.steps);
    return;
  }
  await lookFirst(server, plan.steps);
  await applyAlone(server, plan.steps);
  await renewBundle(server);
  const { plan: after } = await planHere(options);
  server.out.result(
    { changed: plan.steps.length, left: after.steps.length },
    after.steps.length === 0
      ? 'Done: the server is what fossilrepo.yaml says.'
      : 'Done, but something differs again: see fossilrepo diff.',
  );
}

/** While nothing may be written to the former place, Litestream's configuration says nothing of either. */
function isNewPlace({ paths, config }: Server): boolean {
  using store = openStore(paths, { create: false });
  return isElsewhere(store, config.replica);
}

/** What would stop it half way is looked at before anything is touched; the replica only when it is to change. */
async function lookFirst(server: Server, steps: readonly Step[]): Promise<void> {
  const { litestreamConfig } = server.paths;
  const replicated = steps.some(
    (step) => step.do === 'files' && step.files.some(({ path }) => path === litestreamConfig),
  );
  const machine = await preflight({ ...server, processes: await server.supervisor.processes() });
  refuseUnless(asRunBefore(machine, server.paths, 'change'));
  if (replicated || isNewPlace(server)) refuseUnless(await checkReplica(server, storedKeys(server.paths)));
}
