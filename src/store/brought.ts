import { z } from 'zod';
import { getSetting, setSetting, type Store } from './store.ts';

const brought = z.object({
  /** The instant to which all was brought back; null: the newest state of each. */
  at: z.iso.datetime().nullable(),
  /** The repositories that could not be brought back then, by their ids. */
  missing: z.array(z.string()),
});

/** How this server was brought back from its replica the last time. */
export type Brought = z.output<typeof brought>;

/** Undefined when it never was. */
export function readBrought(store: Store): Brought | undefined {
  const text = getSetting(store, 'brought');
  return text === undefined ? undefined : brought.parse(JSON.parse(text));
}

export const noteBrought = (store: Store, note: Brought): void =>
  setSetting(store, 'brought', JSON.stringify(note));
