import prettyBytes from 'pretty-bytes';
import prettyMilliseconds from 'pretty-ms';
import type { FormerServer } from '../backup/former.ts';
import type { Owner } from '../backup/owner.ts';
import { showInstant } from '../system/instant.ts';

/** What fetching and reading to the end takes: bytes a millisecond, and milliseconds for each repository besides. Measured on two cores. */
const pace = { bytes: 30_000, each: 80 };

/** What a replica holds of a server, for whoever is about to bring it back. */
export function describeFormer(former: FormerServer, owner: Owner, at: Date | null, url: string): string {
  const { repositories, window, secrets } = former;
  const good = repositories.filter(({ error }) => error === null);
  const bad = repositories.filter(({ error }) => error !== null);
  const bytes = good.reduce((sum, one) => sum + one.bytes, 0);
  const toRead = good.reduce((sum, one) => sum + one.toRead, 0);
  const trashed = good.filter(({ state }) => state === 'trashed').length;
  const time = prettyMilliseconds(1000 + bytes / pace.bytes + good.length * pace.each, { compact: true });
  const last = new Date(owner.heartbeat);
  return [
    `server        ${owner.hostname}, instance ${former.instance}, last heard of ${showInstant(last)}`,
    `to            ${at ? showInstant(at) : 'the newest state of everything'}`,
    `window        ${window.from ? showInstant(window.from) : '-'} to ${window.to ? showInstant(window.to) : '-'}`,
    `repositories  ${good.length}${trashed > 0 ? `, ${trashed} of them in the trash` : ''}: ${prettyBytes(bytes)}, ${prettyBytes(toRead)} to read`,
    `replica       ${url}: all that is in it stays, and it goes on here; ${owner.hostname} writes there no more`,
    secrets
      ? `secrets       as of ${showInstant(secrets.sealedAt)}: ${secrets.bundle.files.length} files`
      : 'secrets       none: everybody gets a new access token, and certificates are made anew. Those in the replica are deleted as soon as there are new ones, so that no former key opens them any more',
    `takes about   ${time}, longer where the line to the storage is slow`,
    ...(former.marked
      ? []
      : [
          "! high-water.json is missing from the replica: what its histories lack at their ends can't be noticed",
        ]),
    ...describeLater(former.later),
    ...bad.map(({ name, error }) => `! ${name} can't be brought back: ${error ?? ''}`),
  ].join('\n');
}

/** What stays behind, in the replica. */
function describeLater(later: FormerServer['later']): string[] {
  if (later.length === 0) return [];
  const names = later.map(({ id, name, state }) => `${name ?? id}${state === 'trashed' ? ' (deleted)' : ''}`);
  return [`! made after that time, and not brought back: ${later.length}: ${names.join(', ')}`];
}
