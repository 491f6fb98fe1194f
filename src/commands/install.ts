import { existsSync } from 'node:fs';
import { forgetClaim } from '../backup/fence.ts';
import { replicaPlace } from '../backup/location.ts';
import { readBringing } from '../apply/bringing.ts';
import { answeredConfig } from '../config/answers.ts';
import { type Paths, pathsUnder } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { asRunBefore, inOneLine, preflight, refuseUnless, warnOf } from '../inspect/preflight.ts';
import { checkReplica } from '../inspect/replica.ts';
import { describePlan } from '../plan/describe.ts';
import { readStorageKeys, storedKeys } from '../secrets/given.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { type GlobalOptions, type Server, serverWith } from '../server.ts';
import { readUp } from '../stack/foreground.ts';
import { openStore } from '../store/store.ts';
import { requireOwner } from '../system/identity.ts';
import { withLock } from '../system/locks.ts';
import { readIfThere } from '../system/files.ts';
import type { FromFlags } from './find-former.ts';
import { installFrom } from './install-from.ts';
import { applyAlone, planServer, showPlan } from './plan-and-apply.ts';
import { prove } from './prove.ts';
import { agreed, askForKeys, askForServer, somebodyIsThere } from './questions.ts';
import { up } from './up.ts';

type Flags = Omit<FromFlags, 'from'> & { from?: string; freshReplica: boolean };

/** `fossilrepo install`: a server, or other answers to the same questions. Run again it changes nothing. */
export async function install(options: GlobalOptions, flags: Flags): Promise<void> {
  const paths = pathsUnder(options.root);
  requireOwner(paths);
  const { from } = flags;
  if (from !== undefined && (await installFrom(options, { ...flags, from }))) return;
  if (from === undefined) refuseUnfinished(paths);
  const former = readIfThere(paths.config);
  const inFile = flags.storageKeys === undefined ? undefined : readStorageKeys(flags.storageKeys);
  const interactive = !flags.yes && !flags.dryRun && somebodyIsThere();
  const { answers, keys } =
    interactive && former === undefined
      ? await askForServer(flags, inFile, paths.replica)
      : { answers: flags, keys: inFile };
  const text = answeredConfig(former, answers);
  const server = serverWith(text, options);
  const stored = storedKeys(paths);
  // A run that was killed may have left the file alone, as may whoever wrote it by hand.
  const lacking = stored === undefined && replicaPlace(server.config.replica).kind === 's3';
  const given = keys ?? (interactive && lacking ? await askForKeys() : undefined);

  const replica = await lookFirst(server, given ?? stored, flags.freshReplica);
  const { steps, found } = await planServer(server, text, { keys: given });
  if (flags.dryRun) {
    showPlan(server, steps, { data: { replica }, text: replica });
    return;
  }
  const foreground = server.supervisor.kind === 'foreground' && readUp(paths) === undefined;
  if ((!interactive || foreground) && steps.length > 0) server.out.say(replica);
  if (flags.freshReplica && existsSync(paths.database)) await startAnew(server);
  if (foreground) {
    await up(options, { configText: text, keys: given });
    return;
  }
  if (steps.length === 0)
    server.out.say('Nothing to do: this server is as it should be. Looking at it from outside:');
  else {
    if (interactive) {
      server.out.say(`${describePlan(steps)}\n${replica}`);
      await agreed('Do this?', true);
    }
    // Litestream's configuration needs the instance: a new server gets that first, its parts after.
    if (!found.instance)
      await applyAlone(server, (await planServer(server, text, { parts: false, keys: given })).steps);
    await applyAlone(server, (await planServer(server, text, { keys: given })).steps);
  }
  await prove(options);
}

/** @throws OperatorError (usage) while a restore of the whole server is not at its end */
function refuseUnfinished(paths: Paths): void {
  const bringing = readBringing(paths);
  if (bringing)
    throw new OperatorError(
      `A server is being brought back here from ${bringing.from}, and that is not done.`,
      {
        next: `Go on with it: fossilrepo install --from ${bringing.from}, or begin anew after fossilrepo uninstall --purge.`,
        exit: 'usage',
      },
    );
}

/**
 * The loop claims the empty replica within seconds and has every database begin anew there. Alone: a command that is at work may be
 * giving Litestream something.
 */
async function startAnew({ paths }: Pick<Server, 'paths'>): Promise<void> {
  await withLock(paths, 'changes', 60_000, () => {
    using store = openStore(paths);
    forgetClaim(store);
    return Promise.resolve();
  });
}

/**
 * Everything that could stop the installation half way is looked at before it begins.
 * @returns what becomes of what the replica holds
 */
async function lookFirst(
  server: Server,
  keys: StorageCredentials | undefined,
  freshReplica: boolean,
): Promise<string> {
  const processes = await server.supervisor.processes();
  const found = await preflight({ ...server, processes, thorough: true });
  const machine = asRunBefore(found, server.paths, 'change');
  // A folder that may not be the replica is not written to.
  const refused = machine.some(({ what, verdict }) => what === 'replica' && verdict === 'refuse');
  const replica = refused ? [] : await checkReplica(server, keys, freshReplica);
  refuseUnless([...machine, ...replica]);
  warnOf(machine, server.out);
  return replica.map(inOneLine).join('\n');
}
