import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pMap from 'p-map';
import type { Paths } from '../config/paths.ts';
import { failedAs, type LitestreamControl } from './control.ts';

/** How long one database may take to be sent. Milliseconds. */
const patience = 10_000;

/**
 * Has all of this server's databases sent to the replica.
 * @returns the files of which something isn't there all the same; undefined when Litestream doesn't run, so that nobody can be asked
 */
export async function unsent(
  litestream: Pick<LitestreamControl, 'list' | 'syncNow'>,
  { repos }: Pick<Paths, 'repos'>,
): Promise<string[] | undefined> {
  const listed = await litestream.list().catch((error: unknown) => {
    if (failedAs(error, 'silent')) return undefined;
    // One that answers too late may have anything to send.
    return [];
  });
  if (listed === undefined) return undefined;
  const known = new Set(listed.map(({ path }) => path));
  const strangers = (existsSync(repos) ? readdirSync(repos) : [])
    .filter((name) => name.endsWith('.fossil'))
    .map((name) => join(repos, name))
    .filter((path) => !known.has(path));
  const late = await pMap(
    known,
    (path) =>
      litestream.syncNow(path, patience).then(
        () => [],
        () => [path],
      ),
    { concurrency: 8 },
  );
  return [...late.flat(), ...strangers];
}
