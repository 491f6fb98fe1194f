import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { endBringing, noteBringing, readBringing } from '../apply/bringing.ts';
import { idsOf } from '../apply/apply.ts';
import type { ReplicaSource } from '../backup/fetch.ts';
import {
  configurationIn,
  type FormerServer,
  fetchManagement,
  readFormerBundle,
  surveyFormer,
} from '../backup/former.ts';
import { noteBroughtBack } from '../backup/fence.ts';
import { openReplicaStore } from '../backup/open.ts';
import { heartbeatAge, type Me, type Owner, readOwner, takeOver, thisOwner } from '../backup/owner.ts';
import { type Answers, answeredConfig } from '../config/answers.ts';
import { type Paths, pathsUnder, programHome } from '../config/paths.ts';
import { exitCodes, OperatorError } from '../errors.ts';
import { preflight, refuseUnless } from '../inspect/preflight.ts';
import { describeFormer } from '../plan/describe-former.ts';
import { recipientOf } from '../secrets/bundle/format.ts';
import { placeBundle } from '../secrets/bundle/place.ts';
import { keepRecipient, noteShown, readRecovery } from '../secrets/bundle/recovery.ts';
import { readRecoveryKey, readStorageKeys, storedKeys } from '../secrets/given.ts';
import { parseStorageCredentials, type StorageCredentials } from '../secrets/storage.ts';
import type { Secret } from '../secrets/secret.ts';
import { type GlobalOptions, type Server, serverWith } from '../server.ts';
import { instanceId, openStore } from '../store/store.ts';
import { isRoot, requireOwner, serviceUsers } from '../system/identity.ts';
import { parseInstant, showInstant } from '../system/instant.ts';
import { cleanEnvironment } from '../system/run.ts';
import { applyAlone, planServer } from './plan-and-apply.ts';
import { prove } from './prove.ts';
import { agreed, askForKeys, askForRecoveryKey, somebodyIsThere } from './questions.ts';
import { up } from './up.ts';

export type FromFlags = Answers & {
  from: string;
  at?: string;
  storageKeys?: string;
  recoveryKey?: string;
  takeover: boolean;
  yes: boolean;
  dryRun: boolean;
};

/** How long after its last heartbeat a server counts as running: it says so every minute. Milliseconds. */
const alive = 75_000;
/** Until a server that runs has noticed that the replica is another's: it asks every five seconds. Milliseconds. */
const noticing = 12_000;

/**
 * `fossilrepo install --from`: a server that is gone, from its replica: configuration, secrets, certificates, the management database and
 * every repository, to one instant. Killed at any point and run again, it goes on.
 * @returns whether there was anything to bring back; false when that server is here already
 */
export async function installFrom(options: GlobalOptions, flags: FromFlags): Promise<boolean> {
  const paths = pathsUnder(options.root);
  requireOwner(paths);
  const found = await findFormer(options, flags, paths);
  if (found === undefined) return false;
  const { server, source, former, at, me, identity, owner } = found;
  const described = describeFormer(former, owner, at ?? null);
  if (flags.dryRun) {
    server.out.result({ former: summary(former), at: at?.toISOString() ?? null }, described);
    return true;
  }
  server.out.say(described);
  if (!flags.yes) await agreed('Bring it back on this machine?', true);
  await own(source, owner, me);
  noteBringing(paths, { from: flags.from, at: at?.toISOString() ?? null });
  await layDown(server, found);
  const brought = await bringAll(options);
  noteOwnership(server, me, await recipientOf(identity));
  endBringing(paths);
  const told = `${brought.repositories} of ${brought.repositories + brought.failed.length} repositories are back.`;
  server.out.say(told);
  if (brought.failed.length > 0) process.exitCode = exitCodes.partly;
  const { configText, keys } = found;
  if (server.supervisor.kind === 'foreground') {
    await up(options, { configText, keys });
    return true;
  }
  await applyAlone(server, (await planServer(server, configText, { keys })).steps);
  await restartSsh(server);
  await prove(options, { brought });
  return true;
}

type Found = {
  server: Server;
  configText: string;
  keys: StorageCredentials | undefined;
  source: ReplicaSource;
  owner: Owner;
  me: Me;
  identity: Secret;
  at: Date | undefined;
  former: FormerServer;
};

/** Everything that is looked at before anything is touched. */
async function findFormer(
  options: GlobalOptions,
  flags: FromFlags,
  paths: Paths,
): Promise<Found | undefined> {
  const begun = readBringing(paths);
  const at = instantOf(flags, begun?.at);
  const { from, storageKeys, recoveryKey, ...answers } = flags;
  const where = { replica: from, ...pick(flags, 'endpoint', 'region') };
  const reading = serverWith(answeredConfig(undefined, where), options);
  const given =
    (storageKeys === undefined ? storedKeys(paths) : readStorageKeys(storageKeys)) ??
    (from.startsWith('s3://') && somebodyIsThere() && !flags.yes ? await askForKeys() : undefined);
  const store = openReplicaStore(reading.config.replica, given);
  const owner = await readOwner(store);
  if (owner === undefined)
    throw new OperatorError(`There is no server in the replica at ${store.describe}.`, {
      next: 'Give the address that fossilrepo.yaml had under replica.url, and --endpoint if there was one.',
      exit: 'usage',
    });
  if (begun === undefined && isHere(paths, owner.instance)) return undefined;
  const me = thisOwner({ instance: owner.instance, root: paths.root, generation: owner.generation });
  refuseAlive(owner, me, flags.takeover);
  const identity = recoveryKey === undefined ? await askForRecoveryKey() : readRecoveryKey(recoveryKey);
  const source = {
    config: reading.config,
    run: reading.run,
    instance: owner.instance,
    secrets: { storage: given },
  };
  const { bundle, at: bundleAt } = await readFormerBundle(source, identity, at);
  const configText = answeredConfig(configurationIn(bundle, paths.config, paths.root), {
    ...pick(answers, 'domain', 'email', 'tls'),
    ...where,
  });
  const server = serverWith(configText, options);
  refuseUnless(await preflight({ ...server, processes: await server.supervisor.processes() }));
  const survey = await inScratch(async (folder) => {
    const database = join(folder, 'management.db');
    await fetchManagement(source, at, database);
    return surveyFormer(source, at, database);
  });
  const former: FormerServer = { instance: owner.instance, bundle, bundleAt, ...survey };
  return { server, configText, keys: given, source, owner, me, identity, at, former };
}

function instantOf(flags: FromFlags, begun: string | null | undefined): Date | undefined {
  const asked = flags.at === undefined ? undefined : parseInstant(flags.at);
  if (begun === undefined) return asked;
  const before = begun === null ? undefined : new Date(begun);
  if (asked !== undefined && asked.getTime() !== before?.getTime())
    throw new OperatorError(
      `This server is being brought back to ${before ? showInstant(before) : 'its newest state'} already.`,
      {
        next: 'Run the same command without --at to go on, or fossilrepo uninstall --purge to begin anew.',
        exit: 'usage',
      },
    );
  return before;
}

/** @throws OperatorError (usage) when there is another server here */
function isHere(paths: Paths, instance: string): boolean {
  if (!existsSync(paths.database)) return false;
  using store = openStore(paths);
  if (instanceId(store) === instance) return true;
  throw new OperatorError('There is another forge on this machine already.', {
    next: 'Bring the server back on a machine of its own, or fossilrepo uninstall --purge first.',
    exit: 'usage',
  });
}

function refuseAlive(owner: Owner, me: Me, takeover: boolean): void {
  const age = heartbeatAge(owner);
  if (owner.machine === me.machine || takeover || age > alive) return;
  throw new OperatorError(
    `The server on ${owner.hostname} runs: it was last heard of ${Math.round(age / 1000)} s ago.`,
    {
      next: 'Stop it and try again in a minute, or add --takeover: it then stops writing to the replica within seconds.',
      exit: 'usage',
    },
  );
}

/** From here on the former server writes nothing any more. Run again, the replica is ours already. */
async function own(source: ReplicaSource, owner: Owner, me: Me): Promise<void> {
  if (owner.machine === me.machine) return;
  const store = openReplicaStore(source.config.replica, source.secrets.storage);
  await takeOver(store, { ...me, generation: owner.generation + 1 });
  if (heartbeatAge(owner) <= alive) await sleep(noticing);
}

/** All but the repositories, into its place. The parts don't run yet. */
async function layDown(
  server: Server,
  { source, at, former, configText, keys, identity }: Found,
): Promise<void> {
  const { paths } = server;
  const { bundle, instance } = former;
  mkdirSync(dirname(paths.database), { recursive: true, mode: 0o711 });
  await inScratch(async (folder) => {
    const fetched = join(folder, 'management.db');
    // Again: until now the former server could still write.
    await fetchManagement(source, at, fetched);
    const beside = `${paths.database}.brought`;
    copyFileSync(fetched, beside);
    for (const left of ['-wal', '-shm']) rmSync(`${paths.database}${left}`, { force: true });
    renameSync(beside, paths.database);
  });
  placeBundle(bundle, paths, ['configuration', 'secrets', 'ssh']);
  const recipient = await recipientOf(identity);
  if (readRecovery(paths)?.recipient !== recipient)
    keepRecipient(paths, { recipient, madeAt: new Date().toISOString(), instance });
  await applyAlone(
    server,
    (await planServer(server, configText, { parts: false, keys: keys ?? keysIn(bundle) })).steps,
  );
  const users = isRoot() && paths.root === '/';
  if (users) {
    const { uid, gid } = statSync(paths.state);
    chownSync(paths.database, uid, gid);
  }
  const edge = { user: serviceUsers.edge, group: serviceUsers.edge };
  placeBundle(bundle, paths, ['edge'], users ? { edge: idsOf(edge) } : {});
}

function keysIn(bundle: FormerServer['bundle']): StorageCredentials | undefined {
  const found = bundle.files.find(({ path }) => path.endsWith('secrets/storage'));
  return found && parseStorageCredentials(Buffer.from(found.base64, 'base64').toString('utf8'), 'the bundle');
}

const broughtAnswer = z.object({
  repositories: z.int(),
  failed: z.array(z.object({ name: z.string(), error: z.string() })),
});

async function bringAll({ root }: GlobalOptions): Promise<z.output<typeof broughtAnswer>> {
  const child = spawn(join(programHome, 'bin/fossilrepo'), ['--root', root, '--json', 'bring-repositories'], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const said = await textOf(child.stdout);
  await ended;
  if (child.exitCode !== 0)
    throw new OperatorError('Not all of the server is back yet.', {
      next: 'Mend what is said above and run the same command again: it goes on from there.',
    });
  return broughtAnswer.parse(JSON.parse(said));
}

function noteOwnership({ paths, config }: Server, me: Me, recipient: string): void {
  using store = openStore(paths, { create: false });
  noteBroughtBack(store, config.replica, me.generation);
  noteShown(store, recipient);
}

/** It has other host keys than when it started. */
async function restartSsh({ run, paths }: Server): Promise<void> {
  if (paths.root === '/')
    await run({ argv: ['systemctl', 'try-reload-or-restart', 'ssh.service'], accept: [1, 4, 5] });
}

async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'fossilrepo-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const summary = ({ instance, bundle, window, repositories }: FormerServer) => ({
  instance,
  hostname: bundle.hostname,
  window,
  repositories,
});

function pick<T extends object, K extends keyof T>(from: T, ...names: K[]): Partial<Pick<T, K>> {
  return Object.fromEntries(
    names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])),
  ) as Partial<Pick<T, K>>;
}
