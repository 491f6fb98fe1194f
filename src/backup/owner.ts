import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import ms from 'ms';
import { z } from 'zod';
import { OperatorError } from '../errors.ts';
import { readIfThere } from '../system/files.ts';
import { parseJson } from '../system/json.ts';
import type { ReplicaStore } from './store.ts';

/** Where the owner object is: one for each replica address. */
export const ownerKey = 'owner.json';

const ownerSchema = z.object({
  version: z.literal(1),
  /** The server's own id, made once with its management database. */
  instance: z.string().min(1),
  /** A hash of the machine's id: the same instance on two machines is a copied server, and both would write. */
  machine: z.string(),
  /** A hash that is another one after each start of the machine: a copied machine has the same id. Older versions wrote none. */
  boot: z.string().optional(),
  /** The boot of the same server on the same machine that asks whether this one still runs; the next heartbeat says so. */
  asked: z.string().optional(),
  /** For people. */
  hostname: z.string(),
  /** How often the server was brought back elsewhere: who knows only a former one may not take the replica back by itself. */
  generation: z.int().nonnegative().default(0),
  heartbeat: z.iso.datetime(),
});

/** Whose a replica is: Litestream itself lets two servers write to one place, says that all is well, and loses one's data. */
export type Owner = z.output<typeof ownerSchema>;

/** Who we are. The heartbeat is that of the last write. */
export type Me = Pick<Owner, 'instance' | 'machine' | 'hostname' | 'generation'> & { boot: string };

/** How long after its last heartbeat the same server on another machine counts as running. Milliseconds. */
const alive = 600_000;

/** Until a server that runs has noticed what became of its replica: it asks every five seconds. Milliseconds. */
export const noticing = 12_000;

/** Between writing and reading again, so that of two who claim at once both see the later. Milliseconds. */
const settle = 500;

/**
 * This server.
 * @param server.root the folder it is below: two of them on one machine are two servers
 * @param machineId where the machine's id is; the host's name stands in for one that has none
 */
export function thisOwner(
  { instance, root, generation }: { instance: string; root: string; generation: number },
  machineId = '/etc/machine-id',
  bootId = '/proc/sys/kernel/random/boot_id',
): Me {
  const id = readIfThere(machineId)?.trim() || hostname();
  const where = root === '/' ? id : `${id} ${root}`;
  // Containers share their host's boot; of two that run each has processes of its own. The numbers are used again.
  const boot = `${readIfThere(bootId)?.trim() ?? ''} ${readlinkSync('/proc/self/ns/pid')}`;
  return { instance, machine: hash(where), boot: hash(boot), hostname: hostname(), generation };
}

const hash = (text: string): string =>
  createHash('sha256').update(`fossilrepo ${text}`).digest('hex').slice(0, 32);

/** Whether the replica is still ours. @throws OperatorError when the storage can't be asked */
export async function checkOwner(
  store: ReplicaStore,
  me: Me,
): Promise<'ours' | 'missing' | { other: Owner }> {
  const owner = await readOwner(store);
  if (owner === undefined) return 'missing';
  return isMe(owner, me) ? 'ours' : { other: owner };
}

/**
 * Makes the replica ours: free, it is taken; ours, the heartbeat is renewed. Once more than needed does no harm.
 * @throws OperatorError saying whose it is, when it is another's
 */
export async function claimOwner(
  store: ReplicaStore,
  me: Me,
  { now = () => Date.now() } = {},
): Promise<void> {
  const owner = await readOwner(store);
  if (owner !== undefined && isMe(owner, me)) {
    await write(store, me, now());
    return;
  }
  if (owner !== undefined && !left(owner, me, now())) throw conflictError(store, owner, me, now());
  const wrote = await write(store, me, now(), { onlyNew: owner === undefined });
  // A storage that doesn't know the condition lets the later of two writers win.
  await sleep(settle);
  const after = await readOwner(store);
  if (after === undefined)
    throw new OperatorError(
      `${store.describe} lost what was written to it${wrote ? '' : ' by another server'}.`,
      {
        next: 'Use a storage that is consistent at once.',
      },
    );
  if (!isMe(after, me)) throw conflictError(store, after, me, now());
}

/** Says in the replica that we are alive. @throws OperatorError when it isn't ours any more; nothing is written then */
export async function beatOwner(store: ReplicaStore, me: Me, { now = () => Date.now() } = {}): Promise<void> {
  const owner = await readOwner(store);
  if (owner === undefined)
    throw new OperatorError(`The replica at ${store.describe} has no owner object any more.`, {
      next: 'If it is a disk, mount it.',
    });
  if (!isMe(owner, me)) throw conflictError(store, owner, me, now());
  await write(store, me, now());
}

/**
 * Makes the replica of a former server ours, whoever had it: that one stops writing when it looks next.
 * @param me the same instance, on this machine
 */
export async function takeOver(store: ReplicaStore, me: Me): Promise<void> {
  await write(store, me, Date.now());
  await sleep(settle);
  if ((await checkOwner(store, me)) === 'ours') return;
  throw new OperatorError(`${store.describe} was taken by another server in this moment.`, {
    next: 'See who else brings it back, and run the command again.',
  });
}

/** How long ago an owner said that it was alive. Milliseconds. */
export const heartbeatAge = (owner: Owner, now = Date.now()): number =>
  Math.max(0, now - Date.parse(owner.heartbeat));

/** What speaks against giving the replica to an instance, before anything is installed. @param me its `instance` is '' for a new one */
export async function ownerConflict(
  store: ReplicaStore,
  me: Me,
  { now = () => Date.now() } = {},
): Promise<{ message: string; next: string } | undefined> {
  const owner = await readOwner(store);
  // Started anew or copied: `serve` finds out.
  return owner === undefined || isSameMachine(owner, me) || left(owner, me, now())
    ? undefined
    : conflict(store, owner, me, now());
}

/** Whether an owner is this server since its machine was started. */
export const isMe = (owner: Owner, me: Me): boolean =>
  isSameMachine(owner, me) && (owner.boot === undefined || owner.boot === me.boot);

/** The same server on the same machine: before it was started anew, or a copy of it. */
export const isSameMachine = (owner: Owner, me: Me): boolean =>
  owner.instance === me.instance && owner.machine === me.machine;

/** The same server on the same machine, heard of a while ago: whether it was this one before its start, or a copy that runs, has to be asked. */
export const mayRunHere = (owner: Owner, me: Me, now = Date.now()): boolean =>
  isSameMachine(owner, me) && !isMe(owner, me) && owner.generation <= me.generation && !left(owner, me, now);

/** Whether nothing has to be said in the replica: no question is open. */
export const isSettled = (owner: Owner, me: Me): boolean =>
  isMe(owner, me) && owner.boot !== undefined && owner.asked === undefined;

/**
 * Asks a server with our own machine id whether it runs, and makes the replica ours when it doesn't answer: this one was started anew then.
 * Whoever runs answers with a heartbeat. Of two who ask at once the later gets it.
 * @returns whether it answered
 */
export async function askCopy(store: ReplicaStore, me: Me): Promise<boolean> {
  const owner = await readOwner(store);
  if (owner === undefined || !mayRunHere(owner, me)) return false;
  await put(store, { ...owner, asked: me.boot });
  for (const began = performance.now(); performance.now() - began < noticing;) {
    await sleep(1_000, undefined, { ref: false });
    const now = await readOwner(store);
    if (now?.asked !== me.boot || now.heartbeat !== owner.heartbeat) return now !== undefined;
  }
  await takeOver(store, me);
  return false;
}

/** The same server, moved: it stopped on the other machine. */
const left = (owner: Owner, me: Me, now: number): boolean =>
  owner.instance === me.instance &&
  owner.generation <= me.generation &&
  now - Date.parse(owner.heartbeat) > alive;

/** What it says stays the same from look to look: when that one was last alive stands behind it. */
function conflict(store: ReplicaStore, owner: Owner, me: Me, now: number): { message: string; next: string } {
  const whose = `The replica at ${store.describe} belongs to the server on ${owner.hostname}`;
  const last = `It was last alive ${ms(Math.max(0, now - Date.parse(owner.heartbeat)), { long: true })} ago.`;
  if (owner.instance !== me.instance)
    return {
      message: `${whose} (instance ${owner.instance}).`,
      next: `${last} All that is there stays. If that server is gone, bring it back here: fossilrepo install --from this address, with --endpoint if its storage needs one. Otherwise give this one another replica, or another prefix in it.`,
    };
  if (owner.generation > me.generation)
    return {
      message: `${whose}: this one was brought back there.`,
      next: `${last} Turn this one off for good. What was pushed to it since is in its own files alone.`,
    };
  const stop = `${last} Stop that one and try again after ${ms(alive, { long: true })}; two servers on one replica lose data.`;
  return owner.machine === me.machine
    ? {
        message: `${whose}: a copy of this one, on a machine with the same machine id.`,
        next: `${stop} If both shall stay: rm /etc/machine-id; systemd-machine-id-setup; and give this one another replica.`,
      }
    : { message: `${whose}: a copy of this one, on another machine.`, next: stop };
}

function conflictError(...about: Parameters<typeof conflict>): OperatorError {
  const { message, next } = conflict(...about);
  return new OperatorError(message, { next });
}

async function write(
  store: ReplicaStore,
  me: Me,
  now: number,
  options?: { onlyNew: boolean },
): Promise<boolean> {
  return await put(store, { version: 1, ...me, heartbeat: new Date(now).toISOString() }, options);
}

const put = (store: ReplicaStore, owner: Owner, options?: { onlyNew: boolean }): Promise<boolean> =>
  store.put(ownerKey, `${JSON.stringify(owner, null, 2)}\n`, options);

/** Whose a replica is; undefined when nobody has written there. @throws OperatorError when the storage can't be asked */
export async function readOwner(store: ReplicaStore): Promise<Owner | undefined> {
  const text = await store.get(ownerKey);
  if (text === undefined) return undefined;
  const parsed = ownerSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new OperatorError(
    `${ownerKey} in ${store.describe} can't be read: it was not written by this version.`,
    {
      next: 'See what wrote it. If nothing else uses this replica, delete the object.',
    },
  );
}
