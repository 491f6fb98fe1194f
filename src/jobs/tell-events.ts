import type { Forge } from '../forge.ts';
import { eventsAfter } from '../store/events.ts';
import { getSetting, setSetting } from '../store/store.ts';

const key = 'events.told';

/**
 * Says each event once in the log, those of commands and of mirrors, too. How far it has come is in the management database, so that
 * neither a restart nor a kill repeats or leaves out what happened before.
 */
export function tellEvents({ store }: Pick<Forge, 'store'>, log: (text: string) => void): () => void {
  return () => {
    const events = eventsAfter(store, Number(getSetting(store, key) ?? 0));
    const last = events.at(-1);
    if (last === undefined) return;
    // First: when the disk is full this fails, and all would be told again every time.
    setSetting(store, key, String(last.id));
    for (const { kind, text } of events) log(`${kind}: ${text}`);
  };
}
