import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessTo } from '../access/members.ts';
import { projectAccess } from '../access/project.ts';
import { applyRepositorySteps } from '../apply/repository.ts';
import { type Paths, repositoryFile } from '../config/paths.ts';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';
import { planService } from '../plan/repository.ts';
import { type Candidate, inspectCandidate } from '../repos/candidate.ts';
import { readRepository, setIdentity } from '../repos/file.ts';
import { problemWithName } from '../repos/names.ts';
import { sanitise } from '../repos/sanitise.ts';
import { addEvent } from '../store/events.ts';
import { findRepositoryById, insertRepository, listRepositories } from '../store/repositories.ts';
import { moveDurably } from '../system/files.ts';

/** A file that somebody put into the folder of repositories, as it was last seen. */
type Seen = { size: number; mtimeMs: number; since: number };

/** What is remembered of one look at the folder until the next. */
export type Strangers = Map<string, Seen>;

/** How long a file that is no whole repository may stay as it is before it is moved away: a copy may be slow. Milliseconds. */
const patience = 30_000;

/** The files in the folder of repositories that the management database doesn't know, by name: new since the last look, or still there. */
export function findStrangers({ paths, store }: Pick<Forge, 'paths' | 'store'>): string[] {
  const known = new Set(listRepositories(store, { hidden: true }).map(({ file }) => file));
  return readdirSync(paths.repos, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.'))
    .filter((entry) => entry.name.endsWith('.fossil') || entry.isSymbolicLink())
    .map(({ name }) => name)
    .filter((name) => !known.has(`repos/${name}`));
}

/**
 * Adopts what can be served, moves away what can't, asks root for what belongs to somebody else. The caller holds the `changes` lock.
 * @returns what is not settled yet, for people
 */
export async function adoptStrangers(
  forge: Forge,
  names: readonly string[],
  seen: Strangers,
  now: number,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const gone of [...seen.keys()].filter((name) => !names.includes(name))) seen.delete(gone);
  for (const name of names) {
    const still = lookAgain(join(forge.paths.repos, name), seen.get(name), now);
    if (still === undefined) continue;
    seen.set(name, still);
    const kind = inspectCandidate(join(forge.paths.repos, name));
    const rested = now - still.since;
    // A whole repository may still be written to by whoever made it: one look apart it must be the same.
    if (kind === 'repository' && rested > 0 && !isBeingWritten(forge.paths, name))
      await adoptOrReject(forge, name);
    else if (kind === 'unreadable' || kind === 'repository') requestOwnership(forge.paths, name, kind);
    else if (kind === 'symlink' || (kind !== 'missing' && rested > patience))
      reject(forge, name, reasonOf(kind));
    if (kind === 'unreadable' && rested > patience)
      findings.push({
        level: 'red',
        about: name,
        what: `${name} belongs to another user and can be neither served nor replicated.`,
        next: `See why root's one-shot doesn't give it away: systemctl status fossilrepo-ownership. It is left alone when it has several links.`,
      });
  }
  return findings;
}

function lookAgain(file: string, before: Seen | undefined, now: number): Seen | undefined {
  const entry = lstatSync(file, { throwIfNoEntry: false });
  if (!entry) return undefined;
  const { size, mtimeMs } = entry;
  return before?.size === size && before.mtimeMs === mtimeMs ? before : { size, mtimeMs, since: now };
}

const isBeingWritten = ({ repos }: Pick<Paths, 'repos'>, name: string) =>
  existsSync(join(repos, `${name}-journal`));

/** Leaves a request for root's one-shot, when the file isn't the service user's and group-writable. */
function requestOwnership(paths: Paths, name: string, kind: Candidate): void {
  const { uid, gid, mode } = lstatSync(join(paths.repos, name));
  const folder = lstatSync(paths.repos);
  if (kind === 'repository' && uid === folder.uid && gid === folder.gid && (mode & 0o660) === 0o660) return;
  writeFileSync(join(paths.requests, encodeURIComponent(name)), '');
}

async function adoptOrReject(forge: Forge, fileName: string): Promise<void> {
  const file = join(forge.paths.repos, fileName);
  const { uid, mode } = lstatSync(file);
  if (uid !== process.getuid?.() || (mode & 0o660) !== 0o660) {
    requestOwnership(forge.paths, fileName, 'unreadable');
    return;
  }
  const name = fileName.replace(/\.fossil$/, '');
  const problem = problemWithName(name);
  if (problem) reject(forge, fileName, problem.message);
  else await adopt(forge, name);
}

/** Makes a file that was put there a managed repository: safe, private, with an id, replicated, served. */
async function adopt(forge: Forge, name: string): Promise<void> {
  const file = repositoryFile(forge.paths, name);
  const { words } = sanitise(file);
  const facts = readRepository(file);
  // A copy of a repository that is here already, or was, gets an id of its own: two clones of one project never mix.
  const id = facts.id !== undefined && !findRepositoryById(forge.store, facts.id) ? facts.id : randomUUID();
  setIdentity(file, { id });
  // Before there is a row: from then on the name is served.
  projectAccess(file, accessTo(forge, { visibility: 'private', archived: false }));
  insertRepository(forge.store, {
    id,
    name,
    state: 'active',
    visibility: 'private',
    description: facts.description,
    file: `repos/${name}.fossil`,
  });
  await applyRepositorySteps(planService({ id, name }), forge);
  const made = words.length === 0 ? '' : `; made safe: ${words.join('; ')}`;
  addEvent(forge.store, {
    kind: 'adopted',
    repository: id,
    text: `${name} was put into the folder and is now private${made}`,
  });
}

/** Moves a file that can never be served out of the folder, and says so. Nothing is lost: it lies among the rejected. */
function reject(forge: Pick<Forge, 'paths' | 'store'>, name: string, reason: string): void {
  const to = join(forge.paths.rejected, `${new Date().toISOString().replaceAll(':', '')}-${name}`);
  moveDurably(join(forge.paths.repos, name), to);
  addEvent(forge.store, { kind: 'rejected', text: `${name} was moved to ${to}: ${reason}` });
}

function reasonOf(kind: Candidate): string {
  if (kind === 'symlink') return 'a link could lead anywhere.';
  if (kind === 'incomplete') return 'it is cut off, and nothing was added for a while.';
  return 'it is no Fossil repository.';
}
