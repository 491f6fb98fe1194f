import type { Forge } from '../forge.ts';
import { eventsAfter, newestEvents } from '../store/events.ts';
import { getSetting, setSetting } from '../store/store.ts';

const key = 'events.told';

/**
 * Says each event once in the log, those of commands and of mirrors, too. How far it has come is in the management database, so that
 * neither a restart nor a kill repeats or leaves out what happened before.
 */
export function tellEvents({ store }: Pick<Forge, 'store'>, log: (text: string) => void): () => void {
  // What happened before anybody told anything is not news.
  if (getSetting(store, key) === undefined)
    setSetting(store, key, String(newestEvents(store, 1)[0]?.id ?? 0));
  return () => {
    const events = eventsAfter(store, Number(getSetting(store, key)));
    const last = events.at(-1);
    if (last === undefined) return;
    // First: when the disk is full this fails, and all would be told again every time.
    setSetting(store, key, String(last.id));
    for (const { kind, text } of events) log(`${kind}: ${text}`);
  };
}
