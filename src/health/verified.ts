import { managementId } from '../backup/location.ts';
import { listRepositories } from '../store/repositories.ts';
import type { Store } from '../store/store.ts';
import { lastVerifications, type Verification, verifyingSince } from '../store/verifications.ts';
import type { Finding } from './finding.ts';

/** The last verification of each database that is verified; of which the canary is none. */
export type VerifiedLately = {
  /** Since when the server does it by itself; undefined while it doesn't. Milliseconds since 1970. */
  since: number | undefined;
  databases: readonly { id: string; name: string; createdAt: number; last: Verification | undefined }[];
};

/** The last verification of one database, as `--json` tells it. `at` is ISO 8601. */
export type LastVerified = { at: string; ok: boolean; error: string | null };

/** How it stands, in numbers. */
export type VerifiedSummary = { databases: number; inLastWeek: number; last: string | null };

const day = 24 * 3_600_000;

/** Each comes once a week and a new one within a day: these say that it doesn't. Milliseconds. */
const limits = { never: 2 * day, yellow: 9 * day, red: 15 * day } as const;

/** How many are named. */
const named = 5;

/** What the management database remembers. */
export function verifiedLately(store: Store): VerifiedLately {
  const last = lastVerifications(store);
  const rows = listRepositories(store).filter(({ state }) => state === 'active');
  const all = [{ id: managementId as string, name: 'management database', createdAt: 0 }, ...rows];
  return {
    since: verifyingSince(store),
    databases: all.map(({ id, name, createdAt }) => ({ id, name, createdAt, last: last.get(id) })),
  };
}

/** @returns null before the first */
export const lastVerified = (one: Verification | undefined): LastVerified | null =>
  one === undefined
    ? null
    : { at: new Date(one.at).toISOString(), ok: one.outcome === 'ok', error: one.error };

export function summaryOfVerified({ databases }: VerifiedLately, now: number): VerifiedSummary {
  const good = databases.flatMap(({ last }) => (last?.outcome === 'ok' ? [last.at] : []));
  const newest = databases.flatMap(({ last }) => last?.at ?? []);
  return {
    databases: databases.length,
    inLastWeek: good.filter((at) => now - at <= 7 * day).length,
    last: newest.length === 0 ? null : new Date(Math.max(...newest)).toISOString(),
  };
}

/** What failed, and what was not done for too long. */
export function verifiedFindings({ since, databases }: VerifiedLately, now: number): Finding[] {
  const failed = databases.flatMap(({ id, name, last }): Finding[] =>
    last?.outcome !== 'wrong'
      ? []
      : [
          {
            level: 'red',
            about: name,
            what: `What the replica holds of ${name} failed its verification: ${last.error ?? ''}`,
            next: `See fossilrepo backup list ${id === managementId ? id : name}; then try again: fossilrepo backup verify ${id === managementId ? id : name}`,
          },
        ],
  );
  if (since === undefined) return failed;
  const late = databases.flatMap(({ name, createdAt, last }) => {
    const age = now - (last?.at ?? Math.max(createdAt, since));
    const red = last === undefined ? age > limits.never : age > limits.red;
    return red || age > limits.yellow ? [{ name, red }] : [];
  });
  return late.length === 0 ? failed : [...failed, tooLong(late)];
}

function tooLong(late: readonly { name: string; red: boolean }[]): Finding {
  const names = late.slice(0, named).map(({ name }) => name);
  const more = late.length > named ? ` and ${late.length - named} more` : '';
  return {
    level: late.some(({ red }) => red) ? 'red' : 'yellow',
    about: 'replica',
    what: `Not verified for too long: ${names.join(', ')}${more}`,
    next: 'Do it now: fossilrepo backup verify. Why the daily one does not, says fossilrepo logs management.',
  };
}
