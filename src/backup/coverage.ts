import type { Replicated } from './control.ts';

/** A database that has to be in the replica. `since`, when it came to be, is in milliseconds since 1970. */
export type Expected = { id: string; name: string; file: string; since: number };

/** Whether one database is in the replica, and why not. */
export type Covered = {
  id: string;
  name: string;
  ok: boolean;
  /** How long ago all of it was last seen to be in the replica; null when it never was. */
  ageSeconds: number | null;
  /** One phrase for an operator; empty when nothing is wrong. */
  why: string;
};

export type CoverageInput = {
  expected: readonly Expected[];
  /** What Litestream says, or undefined when it says nothing. */
  listed: readonly Replicated[] | undefined;
  /** Milliseconds since 1970. */
  now: number;
  /** `replica.maxAge`, milliseconds. */
  maxAgeMs: number;
  /** When Litestream was started, milliseconds since 1970; a first sync of each database has until then plus `grace`. */
  startedAt?: number;
  /** How long a database may take for its first sync, after Litestream's start or its own making. Milliseconds. */
  grace?: number;
  /** Whether Litestream has no database because whose the replica is has not been found out since the start. */
  asking?: boolean;
};

/** Each expected database, in the order given. */
export function coverage({
  expected,
  listed,
  now,
  maxAgeMs,
  startedAt = 0,
  grace = 60_000,
  asking = false,
}: CoverageInput): Covered[] {
  const byPath = new Map(listed?.map((database) => [database.path, database]));
  return expected.map((database) => {
    const found = byPath.get(database.file);
    const fresh = now - Math.max(startedAt, database.since) < grace;
    return {
      id: database.id,
      name: database.name,
      ...judged(found, { now, maxAgeMs, fresh, silent: listed === undefined, asking }),
    };
  });
}

/** What Litestream replicates though nobody asked for it: it would go on under a name that is gone. */
export function unexpected(
  expected: readonly Pick<Expected, 'file'>[],
  listed: readonly Replicated[],
): string[] {
  const files = new Set(expected.map(({ file }) => file));
  return listed.map(({ path }) => path).filter((path) => !files.has(path));
}

type Circumstances = { now: number; maxAgeMs: number; fresh: boolean; silent: boolean; asking: boolean };

function judged(
  found: Replicated | undefined,
  at: Circumstances,
): Pick<Covered, 'ok' | 'ageSeconds' | 'why'> {
  if (found === undefined && at.asking && at.fresh && !at.silent)
    return { ok: true, ageSeconds: null, why: 'whether a copy of this server runs is being asked' };
  if (found === undefined)
    return at.silent
      ? { ok: false, ageSeconds: null, why: 'Litestream does not answer' }
      : { ok: false, ageSeconds: null, why: 'Litestream does not replicate it' };
  const age = found.lastSyncAt === undefined ? undefined : Math.max(0, at.now - found.lastSyncAt.getTime());
  const ageSeconds = age === undefined ? null : Math.round(age / 100) / 10;
  if (found.status !== 'replicating')
    return { ok: false, ageSeconds, why: 'Litestream has stopped replicating it' };
  // The age says nothing about what Litestream could not read: it counts from what it did read.
  if (found.error !== undefined)
    return { ok: false, ageSeconds, why: `Litestream can't replicate it: ${found.error}` };
  if (age === undefined)
    return at.fresh
      ? { ok: true, ageSeconds, why: 'its first upload is not done yet' }
      : { ok: false, ageSeconds, why: 'it was never uploaded since Litestream started' };
  if (found.lastSyncAt !== undefined && found.lastSyncAt.getTime() - at.now > at.maxAgeMs)
    return { ok: false, ageSeconds: null, why: 'the clock was set back since it was last in the replica' };
  if (age > at.maxAgeMs)
    return { ok: false, ageSeconds, why: `it was last in the replica ${Math.round(age / 1000)} s ago` };
  return { ok: true, ageSeconds, why: '' };
}
