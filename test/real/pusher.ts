import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { partKey, replicaUrl } from '../../src/backup/location.ts';
import { loadConfig } from '../../src/config/config.ts';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { litestreamEnvironment } from '../../src/programs/litestream.ts';
import { cleanEnvironment, run } from '../../src/system/run.ts';
import { instanceId, openStore } from '../../src/store/store.ts';
import { newPerson, type Shown } from './client.ts';
import type { TestForge } from './forge.ts';

const litestream = join(programHome, 'embedded/programs/bin/litestream');

export type Pusher = Awaited<ReturnType<typeof startPusher>>;

/**
 * Somebody who commits and pushes, all the time or when told. A commit counts as acknowledged when the push succeeded and the server's
 * file had it.
 * @param options.every how long to wait after each push, in milliseconds
 */
export async function startPusher(forge: TestForge, name: string, { pushing = true, every = 150 } = {}) {
  const person = newPerson();
  const { token } = await forge.json<{ token: string }>('user', 'token', 'admin');
  const shown = await forge.json<Shown>('repo', 'create', name);
  const folder = await person.checkout(shown.cloneUrl, `admin:${token}`);
  const acknowledged: string[] = [];
  const acknowledgedAt: number[] = [];
  let refused = 0;
  let going = pushing;
  let last: Promise<unknown> = Promise.resolve();
  const ended = new AbortController();

  const commit = async (): Promise<string> => {
    const number = acknowledged.length + refused;
    return person.commit(folder, `file-${number}.txt`, `${number} ${Math.random()}`);
  };
  const deliver = async (hash: string): Promise<string | undefined> => {
    const refusal = await person.refusal(folder);
    const missing =
      refusal ?? (holds(shown.path, hash) ? undefined : 'the push succeeded and the file lacks it');
    if (missing === undefined) {
      acknowledged.push(hash);
      acknowledgedAt.push(Date.now());
    } else refused += 1;
    return missing;
  };
  const one = async (): Promise<boolean> => (await deliver(await commit())) === undefined;
  const working = (async () => {
    while (pushing && !ended.signal.aborted) {
      if (going) await (last = one());
      await sleep(every);
    }
  })();

  return {
    ...shown,
    acknowledged,
    /** When each of them was, in milliseconds since 1970. */
    acknowledgedAt,
    refused: () => refused,
    /** Ends the pushing for now; the last push is done. */
    pause: async () => {
      going = false;
      await last;
    },
    /** Goes on with it. */
    go: () => {
      going = true;
    },
    /** Ends the pushing; the last push is done. */
    stop: async () => {
      ended.abort();
      await working;
    },
    one,
    /** A check-in that is not pushed yet. @returns its hash */
    commit,
    /** Pushes it. @returns why it is not acknowledged; undefined when it is */
    deliver,
    /** A push of all that the clone has, without a new commit. */
    push: (...args: string[]) => person.push(folder, ...args),
    /** What somebody with a shell on the server does to the live file with Fossil. */
    byHand: async (command: string, ...input: string[]) => {
      const as = process.getuid?.() === 0 ? statSync(shown.path) : undefined;
      const home = mkdtempSync(join(tmpdir(), 'by-hand-'));
      if (as) chownSync(home, as.uid, as.gid);
      try {
        await run({
          argv: ['fossil', command, ...(command === 'sql' ? ['-R'] : []), shown.path],
          env: { HOME: home, USER: 'admin' },
          input: input.join('\n'),
          ...(as && { as: { uid: as.uid, gid: as.gid } }),
        });
      } finally {
        rmSync(home, { recursive: true });
      }
    },
    /** The acknowledged commits that the server's file lacks. */
    lostLive: () => has(shown.path, acknowledged),
    /** The acknowledged commits that a restore with Litestream itself lacks. */
    lostInReplica: async () => {
      const into = mkdtempSync(join(tmpdir(), 'restored-'));
      try {
        await restore(forge.root, shown.id, join(into, 'restored.fossil'));
        return has(join(into, 'restored.fossil'), acknowledged);
      } finally {
        rmSync(into, { recursive: true, force: true });
      }
    },
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await working.catch(() => undefined);
      person[Symbol.dispose]();
    },
  };
}

/** Whether a repository's file holds a check-in; one that was moved away in between does not. */
function holds(file: string, hash: string): boolean {
  try {
    return has(file, [hash]).length === 0;
  } catch {
    return false;
  }
}

/** Those of the hashes that are not in a repository's file. */
export function has(file: string, hashes: readonly string[]): string[] {
  using database = disposable(new DatabaseSync(file, { readOnly: true, timeout: 10_000 }));
  const found = database.prepare('SELECT 1 FROM blob WHERE uuid = ? AND size >= 0');
  return hashes.filter((hash) => found.get(hash) === undefined);
}

const disposable = (database: DatabaseSync) =>
  Object.assign(database, { [Symbol.dispose]: () => database.close() });

/**
 * Restores a repository with Litestream alone.
 * @param txid to which transaction, as Litestream writes it; undefined: the last one
 */
export async function restore(root: string, id: string, to: string, txid?: string): Promise<void> {
  const paths = pathsUnder(root);
  const { replica } = loadConfig(paths);
  const url = replicaUrl(replica, instanceOf(root), `repos/${id}`);
  const keys = replica.url.startsWith('s3:') ? join(paths.secrets, 'storage') : undefined;
  await run({
    argv: [
      litestream,
      'restore',
      '-integrity-check',
      'full',
      ...(txid === undefined ? [] : ['-txid', txid]),
      '-o',
      to,
      url,
    ],
    env: cleanEnvironment(litestreamEnvironment(keys)),
  });
}

export function instanceOf(root: string): string {
  using store = openStore(pathsUnder(root));
  return instanceId(store);
}

/** The folder of a repository's replica, for a replica in a folder. */
export const replicaFolderOf = (replica: string, root: string, id: string) =>
  join(replica, partKey(instanceOf(root), `repos/${id}`));
