import { parseDocument } from 'yaml';
import { renderTemplate } from './template.ts';

/** What Litestream is told. Durations are milliseconds. */
export type LitestreamView = {
  /** Where its control socket is. */
  socket: string;
  /** How long any second can be restored, and how long moments that lie `step` apart: `replica.exact`, `replica.window`, `replica.step`. */
  exact: number;
  window: number;
  step: number;
  /** Each database by its file and the address of its replica (`replicaUrl`). */
  databases: readonly { file: string; url: string }[];
};

/** Litestream's configuration, and the databases that it shall read in it. */
export type LitestreamConfig = { text: string; databases: readonly string[] };

/**
 * A commit is in the replica after at most both intervals and the upload: Litestream looks at a database's WAL once each monitor interval
 * and sends what it found at the next sync interval (its db.go, replica.go). Idle, 300 databases cost 10 % of a core with these and 5 %
 * with one second each, more in the minute after their first upload: until the next checkpoint each look unpacks the whole last LTX file,
 * which then is the whole database (lastPageMatch in db.go).
 */
export const litestreamIntervals = { monitor: 500, sync: 250 } as const;

/**
 * Retention is checked by listing each database's objects, which storage charges for. A database that is written to is checked with each
 * merging of its transactions besides (Compact in db.go), so this is only for those that rest.
 */
const longestCheck = 24 * 3_600_000;

/**
 * How many steps are merged again, so that a restore reads fewer objects. Merging costs requests even where there is nothing to merge:
 * CompactDB in Litestream's store.go compares the newest transaction with the first of the last merged file instead of the last, and so
 * lists the objects of every database whose last merged file holds more than one transaction.
 */
const stepsMerged = 12;

/** The text of Litestream's configuration. */
export function renderLitestreamConfig(template: string, view: LitestreamView): string {
  return renderTemplate(template, {
    socket: quoted(view.socket),
    exact: duration(view.exact),
    window: duration(view.window),
    step: duration(view.step),
    steps: duration(view.step * stepsMerged),
    check: duration(Math.min(longestCheck, Math.max(60_000, Math.floor(view.exact / 8)))),
    monitorInterval: duration(litestreamIntervals.monitor),
    syncInterval: duration(litestreamIntervals.sync),
    databases: [...view.databases]
      .sort((a, b) => (a.url < b.url ? -1 : 1))
      .map(({ file, url }) => ({ file: quoted(file), url: quoted(url) })),
  });
}

/** What Litestream has to find. All but what it needs of a database it would replace by a default, such as keeping single transactions for five minutes. */
const needed = [
  ['socket', 'enabled'],
  ['socket', 'path'],
  ['levels', 0, 'interval'],
  ['levels', 1, 'interval'],
  ['l0-retention'],
  ['l0-retention-check-interval'],
  ['snapshot', 'interval'],
  ['snapshot', 'retention'],
  ['sync-interval'],
  ['dbs', 0, 'path'],
  ['dbs', 0, 'monitor-interval'],
  ['dbs', 0, 'replica', 'url'],
] as const;

/** The keys that what a template makes lacks, as after a slip of the hand in it: Litestream ignores a key that it doesn't know. */
export function missingKeys(template: string): string[] {
  const example = renderLitestreamConfig(template, {
    socket: '/socket',
    exact: 1000,
    window: 1000,
    step: 1000,
    databases: [{ file: '/database', url: 'file:///replica' }],
  });
  const document = parseDocument(example);
  return needed.filter((path) => !document.hasIn(path)).map((path) => path.join('.'));
}

/** A string as YAML reads it back whatever is in it: JSON is YAML. */
const quoted = (text: string): string => JSON.stringify(text);

/** Go's notation. */
function duration(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}
