import { renderTemplate } from './template.ts';

/** What Litestream is told. Durations are milliseconds. */
export type LitestreamView = {
  /** Where its control socket is. */
  socket: string;
  /** How long any second can be restored, and how long any five minutes: `replica.exact` and `replica.window`. */
  exact: number;
  window: number;
  /** Each database by its file and the address of its replica (`replicaUrl`). */
  databases: readonly { file: string; url: string }[];
};

/**
 * A commit is in the replica after at most both intervals and the upload: Litestream looks at a database's WAL once each monitor interval
 * and sends what it found at the next sync interval (its db.go, replica.go). Idle, 300 databases cost 10 % of a core with these and 5 %
 * with one second each, more in the minute after their first upload: until the next checkpoint each look unpacks the whole last LTX file,
 * which then is the whole database (lastPageMatch in db.go).
 */
export const litestreamIntervals = { monitor: 500, sync: 250 } as const;

/** Retention is checked by listing each database's objects, which storage charges for: as seldom as the window allows. */
const longestCheck = 6 * 3_600_000;

/** The text of Litestream's configuration. */
export function renderLitestreamConfig(template: string, view: LitestreamView): string {
  return renderTemplate(template, {
    socket: quoted(view.socket),
    exact: duration(view.exact),
    window: duration(view.window),
    check: duration(Math.min(longestCheck, Math.max(60_000, Math.floor(view.exact / 8)))),
    monitorInterval: duration(litestreamIntervals.monitor),
    syncInterval: duration(litestreamIntervals.sync),
    databases: [...view.databases]
      .sort((a, b) => (a.url < b.url ? -1 : 1))
      .map(({ file, url }) => ({ file: quoted(file), url: quoted(url) })),
  });
}

/** A string as YAML reads it back whatever is in it: JSON is YAML. */
const quoted = (text: string): string => JSON.stringify(text);

/** Go's notation. */
function duration(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}
