import { join } from 'node:path';
import { readBringing } from '../apply/bringing.ts';
import type { ReplicaSource } from '../backup/fetch.ts';
import {
  configurationIn,
  fetchManagement,
  type FormerSecrets,
  type FormerServer,
  readFormerBundle,
  surveyFormer,
} from '../backup/former.ts';
import { openReplicaStore } from '../backup/open.ts';
import { isSameMachine, type Me, type Owner, readOwner, thisOwner } from '../backup/owner.ts';
import { type Answers, answeredConfig } from '../config/answers.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import { preflight, refuseUnless, warnOf } from '../inspect/preflight.ts';
import { readRecoveryKey, readStorageKeys, storedKeys } from '../secrets/given.ts';
import { recipientOf } from '../secrets/bundle/format.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import { type GlobalOptions, type Server, serverWith } from '../server.ts';
import { readIfThere, withTemporaryFolder } from '../system/files.ts';
import { parseInstant, showInstant } from '../system/instant.ts';
import {
  isHere,
  refuseAlive,
  refuseAnother,
  refuseLeft,
  refuseOtherInstant,
  refuseWithoutRoom,
} from './judge-former.ts';
import { askForKeys, askForRecoveryKey, somebodyIsThere } from './questions.ts';

/** What `install --from` is told. */
export type FromFlags = Answers & {
  from: string;
  at?: string;
  storageKeys?: string;
  recoveryKey?: string;
  withoutSecrets: boolean;
  takeover: boolean;
  yes: boolean;
  dryRun: boolean;
};

/** A server that can be brought back, and all that is needed for it. */
export type Found = {
  /** As it will be here. */
  server: Server;
  configText: string;
  keys: StorageCredentials | undefined;
  source: ReplicaSource;
  owner: Owner;
  me: Me;
  /** Whether a killed run here has made the replica ours already. */
  mine: boolean;
  /** Whether such a run has seen to it that the former server noticed. */
  begun: boolean;
  at: Date | undefined;
  former: FormerServer;
};

/**
 * Everything that is looked at, and asked, before anything is touched.
 * @returns undefined when that server is here already, whole
 * @throws OperatorError with what speaks against it
 */
export async function findFormer(
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
  if (begun) refuseAnother(begun, owner);
  if (begun === undefined) {
    if (isHere(paths, owner.instance)) {
      refuseOtherInstant(paths, at);
      reading.out.warn(`This server is here already: nothing was brought back from ${store.describe}.`);
      return undefined;
    }
    refuseLeft(paths);
  }
  const here = thisOwner({ instance: owner.instance, root: paths.root, generation: owner.generation });
  // Another machine may have the same id; the same start of it, no other one.
  const mine = isSameMachine(owner, here) && (begun !== undefined || owner.boot === here.boot);
  // One generation further, unless that has been said already.
  const me = mine ? here : { ...here, generation: owner.generation + 1 };
  if (!mine && !flags.takeover) refuseAlive(owner);
  const source = {
    config: reading.config,
    run: reading.run,
    instance: owner.instance,
    secrets: { storage: given },
  };
  const secrets = flags.withoutSecrets ? undefined : await openSecrets(source, recoveryKey, at);
  const written = secrets
    ? configurationIn(secrets.bundle, paths.config, paths.root)
    : readIfThere(paths.config);
  const configText = answeredConfig(written, {
    ...pick(answers, 'domain', 'email', 'tls'),
    ...where,
  });
  const server = serverWith(configText, options);
  const processes = await server.supervisor.processes();
  const machine = await preflight({ ...server, processes, thorough: true });
  refuseUnless(machine);
  warnOf(machine, server.out);
  const survey = await withTemporaryFolder(async (folder) => {
    const database = join(folder, 'management.db');
    await fetchManagement(source, at, database);
    return surveyFormer(source, at, database);
  });
  // Of a run that goes on, some are here, in their places or in part.
  if (begun === undefined) refuseWithoutRoom(server.paths, survey.repositories);
  const former: FormerServer = { instance: owner.instance, secrets, ...survey };
  const claim = { owner, me, mine, begun: begun !== undefined };
  return { server, configText, keys: given, source, ...claim, at, former };
}

async function openSecrets(
  source: ReplicaSource,
  recoveryKey: string | undefined,
  at: Date | undefined,
): Promise<FormerSecrets> {
  const identity = recoveryKey === undefined ? await askForRecoveryKey() : readRecoveryKey(recoveryKey);
  const { bundle, at: sealedAt } = await readFormerBundle(source, identity, at);
  return { bundle, sealedAt, recipient: await recipientOf(identity) };
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

function pick<T extends object, K extends keyof T>(from: T, ...names: K[]): Partial<Pick<T, K>> {
  return Object.fromEntries(
    names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])),
  ) as Partial<Pick<T, K>>;
}
