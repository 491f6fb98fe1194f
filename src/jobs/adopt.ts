import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessTo } from '../access/members.ts';
import { projectAccess } from '../access/project.ts';
import { applyRepositorySteps } from '../apply/repository.ts';
import { type Paths, repositoryFile } from '../config/paths.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';
import { placeOf, planService } from '../plan/repository.ts';
import { type Candidate, inspectCandidate } from '../repos/candidate.ts';
import { readRepository, setIdentity } from '../repos/file.ts';
import { problemWithName } from '../repos/names.ts';
import { sanitise } from '../repos/sanitise.ts';
import { addEvent } from '../store/events.ts';
import {
  findRepository,
  findRepositoryById,
  insertRepository,
  listRepositories,
} from '../store/repositories.ts';
import { reject } from './reject.ts';

/** A whole repository may still be written to by whoever made it, or its log may follow: for so long nothing changed. Milliseconds. */
const pause = 1_000;

/** How long a file that is no whole repository may stay as it is before it is moved away: a copy may be slow. Milliseconds. */
const patience = 30_000;

/** The same for a name that doesn't end in `.fossil`: whoever downloads may be about to give it its name. */
const patienceWithParts = 600_000;

/** For so long somebody may be at work on a file that is here to stay, before it is told that it waits. Milliseconds. */
const patienceWithLocks = 120_000;

/** What SQLite keeps beside a database. */
const beside = /-(wal|shm|journal)$/;

/**
 * What is in the folder of repositories and the management database doesn't know, by name: what SQLite keeps beside a database only when
 * that isn't here. Not folders without the ending (Litestream's state): nothing below is served.
 */
export function findStrangers({ paths, store }: Pick<Forge, 'paths' | 'store'>): string[] {
  const rows = listRepositories(store, { hidden: true });
  // Where a command was killed the file may have moved on already; else what lies in its new place is in its way.
  const moved = (file: string) => !existsSync(join(paths.data, file));
  const known = new Set(rows.flatMap((row) => (moved(row.file) ? [row.file, placeOf(row)] : [row.file])));
  const entries = readdirSync(paths.repos, { withFileTypes: true });
  const here = new Set([...known, ...entries.map(({ name }) => `repos/${name}`)]);
  return entries
    .filter(({ name }) => !known.has(`repos/${name}`))
    .filter(({ name }) => !beside.test(name) || !here.has(`repos/${name.replace(beside, '')}`))
    .filter((entry) => entry.name.endsWith('.fossil') || !entry.isDirectory())
    .map(({ name }) => name);
}

/** Folders among the repositories that are neither Litestream's nor hidden: what lies in them is not served, and nobody may think so. */
export function strayFolders({ paths }: Pick<Forge, 'paths'>): Finding[] {
  return readdirSync(paths.repos, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !entry.name.endsWith('.fossil'))
    .map(({ name }) => ({
      level: 'yellow',
      about: name,
      what: `${name} is a folder among the repositories: nothing in it is served or replicated.`,
      next: `Put its .fossil files into ${paths.repos} itself, or move it away: ${join(paths.repos, name)}`,
    }));
}

/**
 * Adopts what can be served, moves away what can't, asks root for what belongs to somebody else. The caller holds the `changes` lock.
 * @param now milliseconds since 1970
 * @returns what is not settled yet, for people
 */
export async function adoptStrangers(
  forge: Forge,
  names: readonly string[],
  now: number,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of names) {
    try {
      findings.push(...(await settleStranger(forge, name, restOf(join(forge.paths.repos, name), now))));
    } catch (error) {
      // Whatever it is: one must not keep the others waiting.
      const known = error instanceof OperatorError;
      findings.push({
        level: 'red',
        about: name,
        what: `${name} was put into the folder and can't be ${known ? 'adopted' : 'dealt with'}: ${messageOf(error)}`,
        next: known
          ? (error.next ?? 'It is tried again by itself.')
          : `It is tried again by itself; if it is of no use, move it away as root: ${join(forge.paths.repos, name)}`,
      });
    }
  }
  return findings;
}

/** @param rested for how long it has stayed as it is, in milliseconds */
async function settleStranger(forge: Forge, name: string, rested: number): Promise<Finding[]> {
  const kind = inspectCandidate(join(forge.paths.repos, name));
  if (kind === 'missing') return [];
  if (kind === 'busy') return rested > patienceWithLocks ? [locked(forge.paths, name)] : [];
  if (kind === 'symlink') {
    reject(forge, name, reasons.symlink);
    return [];
  }
  const late = rested > (name.endsWith('.fossil') ? patience : patienceWithParts);
  if (kind !== 'special' && !isOurs(forge.paths, name)) return late ? [foreign(name)] : [];
  const links = lstatSync(join(forge.paths.repos, name)).nlink;
  if (kind !== 'repository') {
    if (late) reject(forge, name, beside.test(name) ? orphaned : reasons[kind]);
  } else if (links > 1) {
    if (late) reject(forge, name, `it is one file with ${links} names.`);
  } else if (rested > pause) await adoptOrReject(forge, name);
  return [];
}

const locked = ({ repos }: Pick<Paths, 'repos'>, name: string): Finding => ({
  level: 'yellow',
  about: name,
  what: `${name} was put into the folder and waits to be adopted: another program has kept it locked for minutes.`,
  next: `See which with: fuser -v ${join(repos, name)}. It is adopted when that ends.`,
});

const foreign = (name: string): Finding => ({
  level: 'red',
  about: name,
  what: `${name} belongs to another user and can be neither served nor replicated.`,
  next: `If what starts root's one-shot does not run, fossilrepo apply starts it. Else see why it doesn't give the file away: systemctl status fossilrepo-ownership. It is left alone when it has several links.`,
});

const reasons: Record<Exclude<Candidate, 'repository' | 'missing' | 'busy'>, string> = {
  symlink: 'a link could lead anywhere.',
  incomplete: 'it is cut off, and nothing was added for a while.',
  'not-a-repository': 'it is no Fossil repository.',
  special: 'it is no file.',
  unreadable: 'it cannot be read.',
};

const orphaned = 'the repository that it belongs to is not here.';

/**
 * For how long a file and its log have stayed as they are, in milliseconds. By the time of the last change of anything about it, which no
 * copying program can set: the time of the last write is often copied along.
 */
function restOf(file: string, now: number): number {
  const changed = [file, `${file}-wal`].map((one) => lstatSync(one, { throwIfNoEntry: false })?.ctimeMs ?? 0);
  // A clock that was set back must not keep a file waiting.
  return Math.abs(now - Math.max(...changed));
}

/** Whether a file, with what SQLite keeps beside it, is the service user's. If not, root's one-shot is asked to give it away. */
function isOurs(paths: Pick<Paths, 'repos' | 'requests'>, name: string): boolean {
  const ours = lstatSync(paths.repos).uid;
  const foreigners = [name, `${name}-wal`, `${name}-shm`, `${name}-journal`].filter((one) => {
    const entry = lstatSync(join(paths.repos, one), { throwIfNoEntry: false });
    return entry !== undefined && entry.uid !== ours;
  });
  for (const one of foreigners) writeFileSync(join(paths.requests, encodeURIComponent(one)), '');
  return foreigners.length === 0;
}

async function adoptOrReject(forge: Forge, fileName: string): Promise<void> {
  const name = fileName.replace(/\.fossil$/, '');
  const problem = fileName.endsWith('.fossil') ? problemWithName(name) : notNamed;
  // Somebody is making it right now.
  if (existsSync(join(forge.paths.repos, `${fileName}-journal`))) return;
  if (problem) {
    reject(forge, fileName, problem.message);
    return;
  }
  if (findRepository(forge.store, name)) {
    reject(
      forge,
      fileName,
      `it lies in the place of the repository ${name}, whose own file is not there yet.`,
    );
    return;
  }
  try {
    await adopt(forge, name);
  } catch (error) {
    // What can't be made safe now, never can.
    if (error instanceof OperatorError && error.exit === 'check') reject(forge, fileName, error.message);
    else throw error;
  }
}

const notNamed = { message: 'Its name does not end in .fossil.' };

/** Makes a file that was put there a managed repository: safe, private, with an id, replicated, served. */
async function adopt(forge: Forge, name: string): Promise<void> {
  const file = repositoryFile(forge.paths, name);
  // Fossil's server is another user of the same group.
  chmodSync(file, 0o660);
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
