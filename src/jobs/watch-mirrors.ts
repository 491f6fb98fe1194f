import { isFenced } from '../backup/fence.ts';
import { requestSync } from '../mirror/request.ts';
import { lookAtMirrored } from '../mirror/look.ts';
import { partTimes } from '../mirror/part-times.ts';
import type { Forge } from '../forge.ts';
import { dueMirrors, type Seen } from '../plan/sync.ts';
import { dueUpstreams } from '../plan/upstream.ts';
import { servedMirrors } from '../store/mirrors.ts';
import { servedUpstreams } from '../store/upstreams.ts';

/** Somebody was asked to look at a mirror or an upstream and has not tried: asked again after so long. Milliseconds. */
const patience = 60_000;

/**
 * Asks for mirrors to be brought up to date when it is time for one: soon after a push, after a failure, once a day; and for upstreams to be
 * looked at by their schedule. By looking at files' times only; the work is done by another process.
 * @returns to be called every few seconds
 */
export function watchMirrors(forge: Pick<Forge, 'config' | 'paths' | 'store'>): () => void {
  const { paths, store } = forge;
  let seen: ReadonlyMap<string, Seen> = new Map();
  let asked: ReadonlyMap<string, number> = new Map();

  return () => {
    if (isFenced(forge)) return;
    const now = Date.now();
    const mirrors = servedMirrors(store);
    seen = lookAtMirrored(forge, seen, now);
    const due = [
      // Its code is another errand than its tickets and wiki: one that was just asked for holds up no other.
      ...dueMirrors(mirrors, seen, now, partTimes(forge, mirrors)).map(({ mirror, partsOnly }) => ({
        triedAt: mirror.triedAt,
        errand: `${mirror.id}${partsOnly ? ' parts' : ''}`,
      })),
      ...dueUpstreams(servedUpstreams(store), now).map(({ id, triedAt }) => ({ triedAt, errand: id })),
    ];
    const fresh = due.filter(({ errand, triedAt }) => {
      const at = asked.get(errand);
      return at === undefined || Math.abs(now - at) >= patience || (triedAt ?? 0) >= at;
    });
    const news = new Set(fresh.map(({ errand }) => errand));
    asked = new Map(due.map(({ errand }) => [errand, news.has(errand) ? now : (asked.get(errand) ?? now)]));
    if (fresh.length > 0) requestSync(paths);
  };
}
