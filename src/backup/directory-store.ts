import { link, lstat, mkdir, open, opendir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { codeOf, messageOf, OperatorError } from '../errors.ts';
import type { ReplicaObject, ReplicaStore } from './store.ts';
import { storeDeadline } from './store.ts';

/**
 * A replica in a folder. The folder itself is never made here: when its disk isn't mounted that has to be an error, not a new folder
 * on the root disk. Folders below it are made.
 */
export function directoryStore(folder: string): ReplicaStore {
  const at = (key: string) => join(folder, key);
  const guarded = <T>(work: () => Promise<T>): Promise<T> =>
    within(work()).catch((error: unknown) => {
      throw explained(folder, error);
    });

  async function* walk(
    path: string,
    wanted: { prefix: string; after: string },
    key: string,
  ): AsyncGenerator<ReplicaObject> {
    const entries = await opendir(path).catch(ifThere);
    if (entries === undefined) return;
    for await (const entry of entries) {
      const below = key === '' ? entry.name : `${key}/${entry.name}`;
      const { prefix, after } = wanted;
      if (entry.isDirectory()) {
        if (`${below}/`.startsWith(prefix) || prefix.startsWith(`${below}/`))
          yield* walk(join(path, entry.name), wanted, below);
      } else if (entry.isFile() && below.startsWith(prefix) && below > after) {
        // Litestream removes and renames files at any time.
        const found = await lstat(join(path, entry.name)).catch(ifThere);
        if (found) yield { key: below, bytes: found.size, modified: found.mtime };
      }
    }
  }

  return {
    describe: folder,
    get: (key) =>
      guarded(() =>
        readFile(at(key), 'utf8').catch(async (error: unknown) => {
          await lstat(folder);
          ifThere(error);
          return undefined;
        }),
      ),
    head: (key, bytes) =>
      guarded(async () => {
        const handle = await open(at(key)).catch(async (error: unknown) => {
          await lstat(folder);
          ifThere(error);
          return undefined;
        });
        if (handle === undefined) return undefined;
        try {
          const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
          const { mtime } = await handle.stat();
          return { bytes: buffer.subarray(0, bytesRead), dated: mtime, surely: false };
        } finally {
          await handle.close();
        }
      }),
    put: (key, content, { onlyNew = false } = {}) =>
      guarded(async () => {
        await lstat(folder);
        const target = at(key);
        if (dirname(target) !== folder) await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        const beside = `${target}.${randomUUID()}.tmp`;
        try {
          await writeFile(beside, content, { mode: 0o600, flush: true });
          if (!onlyNew) await rename(beside, target);
          else await link(beside, target);
          return true;
        } catch (error) {
          if (onlyNew && codeOf(error) === 'EEXIST') return false;
          throw error;
        } finally {
          await rm(beside, { force: true });
        }
      }),
    async *list(prefix, { after = '', limit = Infinity } = {}) {
      await guarded(() => lstat(folder));
      // Start as deep as the prefix goes.
      const start = prefix.slice(0, Math.max(0, prefix.lastIndexOf('/')));
      const walking = walk(at(start), { prefix, after }, start);
      try {
        for (let count = 0; count < limit; count++) {
          const next = await guarded(() => walking.next());
          if (next.done) return;
          yield next.value;
        }
      } finally {
        // Closes the folders that are open.
        await walking.return(undefined);
      }
    },
    delete: (key) =>
      guarded(async () => {
        await lstat(folder);
        await unlink(at(key)).catch(ifThere);
      }),
  };
}

/** A network file system whose server is gone blocks for ever. */
function within<T>(work: Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(storeDeadline);
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    }),
  ]);
}

function ifThere(error: unknown): undefined {
  const code = codeOf(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

/** What an operator can do about a failure of the replica's folder. */
export function explained(folder: string, error: unknown): OperatorError {
  const [what, next] = ((): [string, string] => {
    switch (codeOf(error) ?? '') {
      case 'ENOENT':
      case 'ENOTDIR':
        return [
          `The replica's folder ${folder} is not there.`,
          'Mount its disk, or correct replica.url and run fossilrepo apply.',
        ];
      case 'EACCES':
      case 'EPERM':
        return [
          `The replica's folder ${folder} may not be written or read.`,
          'Give it to the user fossilrepo: chown -R fossilrepo:fossilrepo.',
        ];
      case 'EROFS':
        return [
          `The replica's folder ${folder} is on a disk that is mounted read-only.`,
          'Mount it read-write; after a disk error, check the disk first.',
        ];
      case 'ENOSPC':
      case 'EDQUOT':
        return [
          `The disk of the replica's folder ${folder} is full.`,
          'Make room there; replication then goes on by itself.',
        ];
      case 'ESTALE':
      case 'EIO':
        return [
          `The disk of the replica's folder ${folder} fails (${codeOf(error) ?? ''}).`,
          'See dmesg, and mount it again.',
        ];
      default:
        if (error instanceof Error && error.name === 'TimeoutError')
          return [
            `The replica's folder ${folder} does not answer.`,
            'See whether its disk or file server is there.',
          ];
        return [
          `The replica's folder ${folder} can't be used: ${messageOf(error)}`,
          'See whether its disk is there and writable.',
        ];
    }
  })();
  return new OperatorError(what, { next, cause: error });
}
