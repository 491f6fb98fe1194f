import { createHmac, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import type { Paths } from '../../config/paths.ts';
import { readIfThere, writeAtomic } from '../../system/files.ts';
import { isRoot } from '../../system/identity.ts';
import { ownVersion } from '../../system/version.ts';
import { collect } from './collect.ts';
import { sealBundle } from './format.ts';
import { readRecovery } from './recovery.ts';

const sealed = z.object({
  /** When it was sealed; no two are of one instant, and a later one is newer even if the clock was set back. */
  at: z.iso.datetime(),
  recipient: z.string(),
  /** Paths of what is not in it because it is a link or no regular file. */
  left: z.array(z.string()),
  /** age's ASCII armor. */
  text: z.string(),
});

/** The newest bundle as it lies on this server, ready for the replica. */
export type Sealed = z.output<typeof sealed>;

/** Undefined when none was sealed yet, or what lies there is none: then one is sealed anew. */
export const readSealed = (paths: Pick<Paths, 'sealed'>): Sealed | undefined => readAs(sealed, paths.sealed);

/** Root's own. The digest is keyed, so that it tells nobody what was sealed. */
const last = z.object({ key: z.string(), digest: z.string(), at: z.iso.datetime() });

/**
 * Seals what is secret here, if it differs from what was sealed last. To be called as who may read it all: root, or the owner of a server
 * in a folder. Once more than needed does no harm.
 * @throws OperatorError when something may not be read, or is too much
 */
export async function sealNow(paths: Paths): Promise<'sealed' | 'unchanged' | 'no key'> {
  const recovery = readRecovery(paths);
  if (recovery === undefined) return 'no key';
  const { instance, recipient } = recovery;
  const { files, left } = collect(paths);
  const before = readLast(paths);
  const key = before?.key ?? randomBytes(32).toString('base64');
  const digest = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(JSON.stringify([1, instance, recipient, files, left]))
    .digest('base64');
  // Also written when nothing changed: that is how others see when we last looked.
  const remember = (at: string) => writeAtomic(paths.lastSealed, JSON.stringify({ key, digest, at }), 0o600);
  if (before?.digest === digest && readSealed(paths)?.at === before.at) {
    remember(before.at);
    return 'unchanged';
  }
  const at = later(before?.at, recovery.madeAt);
  const bundle = { version: 1, instance, madeAt: at, hostname: hostname(), fossilrepo: ownVersion } as const;
  const text = await sealBundle({ ...bundle, files }, recipient);
  const made: Sealed = { at, recipient, left, text };
  writeAtomic(paths.sealed, JSON.stringify(made), 0o600, serviceIds(paths));
  remember(at);
  return 'sealed';
}

/** An instant for a new recovery key: later than all that was sealed to the former one. To be called as `sealNow`. */
export const keyInstant = (paths: Pick<Paths, 'lastSealed'>): string => later(readLast(paths)?.at, undefined);

/** Now; if the clock was set back, just after the former bundle, and not before the key. */
function later(former: string | undefined, key: string | undefined): string {
  const after = former === undefined ? 0 : Date.parse(former) + 1;
  return new Date(Math.max(Date.now(), after, key === undefined ? 0 : Date.parse(key))).toISOString();
}

/** When what is secret was last compared with what was sealed, whether it had changed or not. Milliseconds. */
export function lastLook(paths: Pick<Paths, 'lastSealed'>): number | undefined {
  return statSync(paths.lastSealed, { throwIfNoEntry: false })?.mtimeMs;
}

const readLast = (paths: Pick<Paths, 'lastSealed'>) => readAs(last, paths.lastSealed);

function readAs<T>(schema: z.ZodType<T>, file: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(readIfThere(file) ?? 'null')).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The one who takes it to the replica owns it. */
function serviceIds(paths: Pick<Paths, 'state'>): { uid: number; gid: number } | undefined {
  if (!isRoot()) return undefined;
  const { uid, gid } = statSync(paths.state);
  return { uid, gid };
}
