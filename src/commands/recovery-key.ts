import { listBundles, type StoredBundle } from '../backup/bundles.ts';
import { deliverBundle } from '../backup/deliver-bundle.ts';
import { refuseWhileFenced } from '../backup/fence.ts';
import { openReplicaStore } from '../backup/open.ts';
import { messageOf, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { newRecoveryKey } from '../secrets/bundle/format.ts';
import { keepRecipient, noteShown, readRecovery, wasShown } from '../secrets/bundle/recovery.ts';
import { keyInstant, sealNow } from '../secrets/bundle/seal.ts';
import { loadSecrets } from '../secrets/load.ts';
import { type GlobalOptions, openServer, type Server } from '../server.ts';
import { instanceId, openStore } from '../store/store.ts';
import { requireOwner } from '../system/identity.ts';
import { withLock } from '../system/locks.ts';
import { untilWritten } from '../system/output.ts';
import { agreed } from './questions.ts';

type Flags = { rotate: boolean; yes: boolean; dryRun: boolean };

/** `fossilrepo backup recovery-key [--rotate]`: what the server's secrets are sealed to; never the key itself, but once a new one. */
export async function recoveryKey(options: GlobalOptions, flags: Flags): Promise<void> {
  if (flags.rotate) await rotate(options, flags);
  else await withForge(options, show);
}

async function show(forge: Forge): Promise<void> {
  const { paths, store, config, secrets, instance, out } = forge;
  const recovery = readRecovery(paths);
  const replica = openReplicaStore(config.replica, secrets.storage);
  const [newest] = await listBundles(replica, instance);
  const shown = recovery !== undefined && wasShown(store, recovery.recipient);
  const bundle = newest && { key: newest.key, at: newest.at.toISOString(), bytes: newest.bytes };
  const lines = [
    `recipient  ${recovery?.recipient ?? 'none yet'}`,
    ...(recovery ? [`made       ${recovery.madeAt}`] : []),
    bundle ? `bundle     ${replica.describe}/${bundle.key}` : 'bundle     none in the replica yet',
    ...(shown
      ? []
      : ['Nobody was shown its recovery key: fossilrepo backup recovery-key --rotate makes one.']),
  ];
  const { recipient = null, madeAt = null } = recovery ?? {};
  out.result(
    { recipient, madeAt, shown, replica: replica.describe, bundle: bundle ?? null },
    lines.join('\n'),
  );
}

/**
 * Makes a new key, seals anew and takes away what the former key opens. Killed between any two steps it leaves bundles that a key opens
 * which was shown, and never none:
 * 1. The new key is printed before anything knows of it. Killed here, the former one stays in force and all goes on with that.
 * 2. It is noted as shown, then becomes the one to seal to: from now on the loop finishes by itself what we don't.
 * 3. A bundle sealed to it is brought to the replica and read back;
 * 4. only then those that the former key opens go.
 */
async function rotate(options: GlobalOptions, flags: Flags): Promise<void> {
  const server = openServer(options);
  requireOwner(server.paths);
  const before = await lookFirst(server);
  const what = `make a new recovery key, seal this server's secrets to it, and delete ${before.length} bundles that the former key opens`;
  if (flags.dryRun) {
    server.out.result({ delete: before.map(({ key }) => key) }, `- ${what}`);
    return;
  }
  if (!flags.yes) await agreed(`This will ${what}. Go on?`, true);
  await withLock(server.paths, 'changes', 60_000, async () => {
    await makeAnother(server);
    await withForge(options, (forge) => bring(forge, before));
  });
}

/** What would stop it half way is looked at before a key is shown. @returns the bundles that are there */
async function lookFirst({ config, paths }: Server): Promise<StoredBundle[]> {
  using store = openStore(paths, { create: false });
  refuseWhileFenced({ config, store });
  return await listBundles(openReplicaStore(config.replica, loadSecrets(paths).storage), instanceId(store));
}

/** While we may still read and write as root. */
async function makeAnother({ paths, out }: Server): Promise<void> {
  using store = openStore(paths, { create: false });
  const { identity, recipient } = await newRecoveryKey();
  const madeAt = keyInstant(paths);
  const key = identity.reveal();
  out.result(
    { recoveryKey: key, recipient, madeAt },
    `The new recovery key is ${key}\nIt is shown this once: keep it off this machine.`,
  );
  await untilWritten();
  noteShown(store, recipient);
  keepRecipient(paths, { recipient, madeAt, instance: instanceId(store) });
  await sealNow(paths);
}

async function bring(forge: Forge, before: readonly StoredBundle[]): Promise<void> {
  const { config, secrets, instance, out } = forge;
  const brought = await deliverBundle(forge).catch((error: unknown) => {
    throw new OperatorError(
      `The new key is in force, but its bundle is not in the replica yet: ${messageOf(error)}`,
      {
        next: 'It is tried again every minute. Keep the former key, too, until fossilrepo backup recovery-key names a bundle made after the new one.',
        cause: error,
      },
    );
  });
  const left = await listBundles(openReplicaStore(config.replica, secrets.storage), instance);
  const gone = before.filter(({ key }) => !left.some((bundle) => bundle.key === key)).length;
  out.say(`Done: ${brought ?? 'the bundle'} is in the replica and opens with the new key alone.`);
  out.say(
    `${gone} that the former key opened are deleted. Copies of them elsewhere, as in a versioned bucket, it still opens.`,
  );
}
