import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { gitFastImport, gitInitCache, gitRefs, readRefs } from '../../programs/git-cache.ts';
import { scratch } from '../../repos/scratch.ts';
import { freezeIdents, type Ident, identsOf } from '../../store/idents.ts';
import type { Repository } from '../../store/repositories.ts';
import { readIfThere, writeAtomic } from '../../system/files.ts';
import { start } from '../../system/stream.ts';
import { identOf } from '../export/ident.ts';
import { joinPacks } from '../export/keep.ts';
import { cacheFolder } from '../export/place.ts';
import { readWiki, type Wiki } from './read.ts';
import { wikiRef, wikiStream } from './stream.ts';

/** A repository's wiki as Git has it. */
export type ExportedWiki = {
  /** A bare Git repository. */
  folder: string;
  /** The newest commit; undefined: there never was a page. */
  commit: string | undefined;
  /** How many pages there are. */
  pages: number;
};

/** Another way of writing pages makes other commits: then this is another number. */
const version = 1;

type Part = Pick<Forge, 'run' | 'paths' | 'store'>;

/**
 * Brings a repository's wiki to Git. All of it follows from the repository: what is there may be deleted at any time. Killed at any moment it
 * can be called again. The caller holds the lock for the repository's export.
 */
export async function exportWiki(
  forge: Part,
  row: Pick<Repository, 'id' | 'file'>,
  signal?: AbortSignal,
): Promise<ExportedWiki> {
  const place = join(cacheFolder(forge.paths, row.id), 'wiki');
  const [folder, noted] = [join(place, 'git'), join(place, 'state')];
  return await readWiki(join(forge.paths.data, row.file), async (wiki) => {
    const pages = pagesOf(wiki);
    if (wiki.changes.length === 0) return { folder, commit: undefined, pages };
    const state = stateOf(wiki);
    const known = readIfThere(noted)?.split(' ');
    if (known?.[0] === state && (await commitIn(forge, folder)) === known[1])
      return { folder, commit: known[1], pages };
    mkdirSync(place, { recursive: true, mode: 0o700 });
    rmSync(noted, { force: true });
    const commit = await importWiki(forge, row, folder, wiki, signal).catch(async (error: unknown) => {
      if (signal?.aborted) throw error;
      // Damaged, or left by a crash: once from nothing.
      rmSync(folder, { recursive: true, force: true });
      return await importWiki(forge, row, folder, wiki, signal);
    });
    await joinPacks(forge.run, folder);
    writeAtomic(noted, `${state} ${commit}`, 0o600);
    return { folder, commit, pages };
  });
}

/** How many pages there are now. */
function pagesOf(wiki: Wiki): number {
  const last = new Map(
    wiki.changes.filter(({ kind }) => kind === 'page').map(({ page, rid }) => [page, rid]),
  );
  return [...last.values()].filter((rid) => wiki.page(rid).text !== '').length;
}

const stateOf = ({ changes }: Wiki): string => {
  const hash = createHash('sha256').update(`${version}\n`);
  for (const { hash: one, at, content } of changes)
    hash.update(`${one} ${at} ${content === 0 ? '' : 'file'}\n`);
  return hash.digest('hex');
};

async function commitIn({ run }: Pick<Part, 'run'>, folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined;
  const { stdout, code } = await run({ ...gitRefs(folder, wikiRef), accept: [128] });
  return code === 0 ? readRefs(stdout).get(wikiRef) : undefined;
}

async function importWiki(
  forge: Part,
  row: Pick<Repository, 'id'>,
  folder: string,
  wiki: Wiki,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (!existsSync(folder)) await forge.run(gitInitCache(folder));
  using work = scratch(forge.paths);
  const importing = start(gitFastImport(folder, join(work.path, 'marks')), signal);
  importing.output.resume();
  try {
    await pipeline(
      Readable.from(wikiStream(wiki, namesOf(forge, row, wiki)), { objectMode: false }),
      importing.input,
    ).catch(async (error: unknown) => {
      // A damaged artifact says best itself what is wrong; a broken pipe is git's to explain.
      if (!(error instanceof OperatorError)) await importing.ended;
      throw error;
    });
    await importing.ended;
  } finally {
    importing.stop();
    await importing.ended.catch(() => undefined);
  }
  const commit = await commitIn(forge, folder);
  if (commit === undefined) throw new Error('git fast-import made no commit');
  return commit;
}

/** Everybody called as the first time that something of theirs was exported. */
function namesOf({ store }: Pick<Part, 'store'>, { id }: Pick<Repository, 'id'>, wiki: Wiki) {
  const known = identsOf(store, id);
  const logins = [...new Set(wiki.changes.map(({ by }) => by))].filter((login) => !known.has(login));
  const fresh = new Map(logins.map((login) => [login, identOf(login, wiki.infoOf(login))]));
  if (fresh.size > 0) freezeIdents(store, id, fresh);
  return (login: string): Ident => known.get(login) ?? fresh.get(login) ?? identOf(login, '');
}
