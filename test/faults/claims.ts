import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Pusher } from '../real/pusher.ts';
import { maxAge, type Stage } from './stage.ts';

/** `backup status` called a repository safe: then all that was acknowledged before `until` has to be in the replica up to `txid`. */
export type Claim = { pusher: Pusher; until: number; txid: string; newest: number };

const answer = z.object({
  repositories: z.array(z.object({ name: z.string(), id: z.string(), ok: z.boolean(), why: z.string() })),
});

/** Asks `backup status` all the time, and notes what is in the replica whenever it calls a repository safe. @returns what ends it */
export function noteClaims(stage: Stage): () => Promise<Claim[]> {
  const claims: Claim[] = [];
  const ended = new AbortController();
  const working = (async () => {
    while (!ended.signal.aborted) {
      claims.push(...(await askOnce(stage)));
      await sleep(1_000);
    }
  })();
  return async () => {
    ended.abort();
    await working;
    return claims;
  };
}

async function askOnce(stage: Stage): Promise<Claim[]> {
  const until = Date.now() - maxAge;
  const { stdout } = await stage.forge.cli('--json', 'backup', 'status');
  if (stdout === '') return [];
  const { repositories } = answer.parse(JSON.parse(stdout));
  return stage.pushers.flatMap((pusher) => {
    const said = repositories.find(({ id }) => id === pusher.id);
    // "Its first upload is not done yet" says that it is not known yet, not that it is safe.
    if (!said?.ok || said.why !== '') return [];
    const newest = newestObject(stage.historyOf(pusher.id));
    return newest === undefined ? [] : [{ pusher, until, ...newest }];
  });
}

/** The last transaction in the replica, and when it came there. */
function newestObject(history: string): { txid: string; newest: number } | undefined {
  const objects = levelsOf(history).flatMap((level) =>
    readdirSync(join(history, level))
      .filter((name) => name.endsWith('.ltx'))
      .map((name) => join(history, level, name)),
  );
  const txidOf = (file: string) => file.slice(-20, -4);
  const last = objects.toSorted((one, other) => (txidOf(one) < txidOf(other) ? -1 : 1)).at(-1);
  const newest = last === undefined ? undefined : statSync(last, { throwIfNoEntry: false })?.mtimeMs;
  return last && newest !== undefined ? { txid: txidOf(last), newest } : undefined;
}

function levelsOf(history: string): string[] {
  try {
    return readdirSync(history);
  } catch {
    return [];
  }
}

/** Those that are hardest to keep: for each repository the one whose newest object was the oldest compared with what it had to hold. */
export function hardest(claims: readonly Claim[]): Claim[] {
  const byPusher = Map.groupBy(claims, ({ pusher }) => pusher);
  const distance = ({ until, newest }: Claim) => until - newest;
  return [...byPusher.values()].flatMap((own) =>
    own.toSorted((a, b) => distance(b) - distance(a)).slice(0, 1),
  );
}

/** The check-ins that a claim says are in the replica. */
export const claimed = ({ pusher, until }: Claim): string[] =>
  pusher.acknowledged.filter((_hash, index) => (pusher.acknowledgedAt[index] ?? Infinity) < until);
