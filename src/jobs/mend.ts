import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { accessTo } from '../access/members.ts';
import { projectAccess } from '../access/project.ts';
import { failedAs, type Replicated } from '../backup/control.ts';
import { replicatedDatabases, writeLitestreamConfig } from '../backup/replicate.ts';
import { closedMark, routeMark } from '../config/paths.ts';
import { isBusy, messageOf } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Finding } from '../health/finding.ts';
import { placeOf } from '../plan/repository.ts';
import { endCreation } from '../repos/create.ts';
import { idOfFile } from '../repos/file.ts';
import { settle, settlingOf } from '../repos/change.ts';
import { UnreadableError } from '../repos/open.ts';
import { settleAsides } from '../repos/restore/aside.ts';
import { settleRestores } from '../repos/restore/settle.ts';
import { markRoute } from '../repos/marks.ts';
import { restoreLitestreamTables } from '../repos/litestream-tables.ts';
import { addEvent } from '../store/events.ts';
import { allRepositories, listRepositories, type Repository } from '../store/repositories.ts';
import type { Backoff } from './backoff.ts';
import type { HighWaterKeeper } from './high-water.ts';
import { isLink, linkedFiles, missingFiles } from './misplaced.ts';
import { reject } from './reject.ts';
import { mendStuck } from './stuck.ts';

/**
 * Brings everything that is derived back to what the management database says: unfinished commands, marks for the edge, what Litestream
 * replicates. The caller holds the `changes` lock, so that no command is at work.
 * @param unfinished what was found at former looks of commands that can't be finished, by the repository's id; it is kept up to date
 * @returns what could not be mended
 */
export async function mend(
  forge: Forge,
  backoff: Backoff,
  highWater: Pick<HighWaterKeeper, 'forget'>,
  unfinished: Map<string, Finding>,
): Promise<Finding[]> {
  const findings = unsettled(forge);
  settleAsides(forge);
  findings.push(...(await finishCommands(forge, backoff, unfinished)));
  const rows = listRepositories(forge.store, { hidden: true }).filter(({ state }) => state === 'active');
  findings.push(...missingFiles(forge, rows), ...linkedFiles(forge, rows));
  mendMarks(forge, rows);
  findings.push(...mendConfiguration(forge));
  const listed = await forge.litestream.list().catch(silence);
  if (listed) {
    await mendReplication(forge, backoff, listed);
    await mendStuck(forge, backoff, highWater, listed);
  }
  return findings;
}

/** One that is only locked is looked at again in a moment. */
const unsettled = (forge: Forge): Finding[] =>
  settleRestores(forge)
    .filter(({ error }) => !isBusy(error))
    .map(({ name, error }) => ({
      level: 'red',
      about: name,
      what: `A restore of ${name} was cut short, and what became of it can't be found out: ${messageOf(error)}`,
      next: 'It is tried again by itself; see fossilrepo logs management.',
    }));

/** A change of the configuration can't follow what is served while the template lacks something. */
function mendConfiguration(forge: Forge): Finding[] {
  const { written, lacking } = writeLitestreamConfig(forge);
  if (written) note(forge, "Litestream's configuration was brought up to date");
  if (lacking.length === 0) return [];
  return [
    {
      level: 'red',
      about: 'replica',
      what: `The template litestream.yml lacks ${lacking.join(', ')}: Litestream's configuration can't follow what is served.`,
      next: 'Put it right, or put the one of the release back; fossilrepo diff says when it will do.',
    },
  ];
}

/** What killed commands left. */
async function finishCommands(
  forge: Forge,
  backoff: Backoff,
  unfinished: Map<string, Finding>,
): Promise<Finding[]> {
  const rows = allRepositories(forge.store);
  for (const id of unfinished.keys()) if (!rows.some((row) => row.id === id)) unfinished.delete(id);
  for (const row of rows) {
    const cause = `finish ${row.id}`;
    try {
      if (row.state === 'creating') {
        await endCreation(forge, row);
        note(forge, `a creation of ${row.name} that was killed was brought to an end`);
      } else if (settlingOf(forge, row).length > 0) {
        if (!backoff.due(cause)) continue;
        await settle(forge, row);
        note(forge, `an unfinished command on ${row.name} was finished`, row);
      }
      backoff.clear(cause);
      unfinished.delete(row.id);
    } catch (error) {
      unfinished.set(row.id, {
        level: 'red',
        about: row.name,
        what: `A command on ${row.name} was begun and can't be finished: ${messageOf(error)}`,
        next: 'It is tried again by itself; see fossilrepo logs management.',
      });
    }
  }
  return [...unfinished.values()];
}

/** A name is routed when it is served, and closed only while somebody works on it: nobody does, since we hold the lock. */
function mendMarks(forge: Forge, rows: readonly Repository[]): void {
  const { paths } = forge;
  const inPlace = rows.filter(({ file, ...row }) => {
    const path = join(paths.data, file);
    return file === placeOf(row) && existsSync(path) && !isLink(path);
  });
  const wanted = new Set(inPlace.map(({ name }) => name));
  for (const name of readdirSync(paths.routes))
    if (!wanted.has(name)) rmSync(routeMark(paths, name), { force: true });
  for (const name of wanted) if (!existsSync(routeMark(paths, name))) markRoute(paths, name);
  for (const name of readdirSync(paths.closed)) {
    rmSync(closedMark(paths, name), { force: true });
    note(forge, `${name} was left closed by a command that was killed, and is open again`);
  }
}

/** That Litestream doesn't answer is seen by whoever looks at the parts. */
function silence(error: unknown): undefined {
  if (!failedAs(error, 'silent')) throw error;
}

async function mendReplication(forge: Forge, backoff: Backoff, listed: readonly Replicated[]): Promise<void> {
  const { litestream } = forge;
  const wanted = replicatedDatabases(forge);
  const present = new Map(listed.map((database) => [database.path, database]));
  for (const { path } of listed)
    if (!wanted.has(path) && backoff.due(`extra ${path}`)) {
      await litestream.unregister(path);
      note(forge, `${path} is no longer replicated: no repository lies there`);
    }
  for (const [path, url] of wanted) {
    const database = present.get(path);
    if (!database && existsSync(path) && backoff.due(`missing ${path}`)) {
      await litestream.register(path, url);
      note(forge, `${path} was not replicated, and is again`);
    }
    if (
      database?.error !== undefined &&
      /no such table: _litestream/.test(database.error) &&
      backoff.due(`tables ${path}`)
    ) {
      restoreLitestreamTables(path);
      note(forge, `${path} was rebuilt by hand: Litestream's tables are back`);
    }
    if (database && database.error === undefined) {
      backoff.clear(`missing ${path}`);
      backoff.clear(`tables ${path}`);
    }
  }
}

/** A repository that could not be looked into. */
export type Unread = { finding: Finding; damaged: boolean };

/** How many repositories are looked into at one look, each for a millisecond or two: on an idle server little else is done. */
const perLook = 5;

/**
 * Looks into some repositories' files, in turns: whether it is still the repository that belongs there, and whether today's access is
 * what is written in it. One that can't be looked into doesn't keep the others from it. A damaged one is looked into each time; one that is
 * locked is waited for in its turn only, since nothing else is done meanwhile.
 * @param unread what was found at former looks, by the repository's id; it is kept up to date
 * @returns all that is found now, of those whose turn it isn't, too
 */
export function mendInTurns(forge: Forge, turn: number, unread: Map<string, Unread>): Finding[] {
  const rows = listRepositories(forge.store, { hidden: true }).filter(
    (row) => row.state === 'active' && existsSync(join(forge.paths.data, row.file)),
  );
  const start = (turn * perLook) % Math.max(1, rows.length);
  const looked = [...rows.slice(start), ...rows.slice(0, start)].slice(0, perLook);
  const damaged = rows.filter(({ id }) => unread.get(id)?.damaged === true);
  for (const id of unread.keys()) if (!rows.some((row) => row.id === id)) unread.delete(id);
  for (const row of new Set([...looked, ...damaged]))
    try {
      mendInside(forge, row);
      unread.delete(row.id);
    } catch (error) {
      const finding: Finding = { level: 'red', about: row.name, ...describeUnread(row.name, error) };
      unread.set(row.id, { finding, damaged: error instanceof UnreadableError });
    }
  return [...unread.values()].map(({ finding }) => finding);
}

const describeUnread = (name: string, error: unknown): Pick<Finding, 'what' | 'next'> =>
  error instanceof UnreadableError
    ? {
        what: `The file of ${name} is damaged: ${messageOf(error)}`,
        next: `Bring it back from the replica: fossilrepo restore ${name} --at now. The damaged file is kept.`,
      }
    : {
        what: `${name} can't be looked into: ${messageOf(error)}`,
        next: `Check it with: fossilrepo repo verify ${name}, and see who else uses the file.`,
      };

function mendInside(forge: Forge, row: Repository): void {
  const file = join(forge.paths.data, row.file);
  if (idOfFile(file) !== row.id) {
    reject(forge, basename(file), `it was put over the repository ${row.name}, and is another one.`);
    return;
  }
  const { changed, ended } = projectAccess(file, accessTo(forge, row));
  if (changed === 0) return;
  const out = ended.length > 0 ? `, signed out: ${ended.join(', ')}` : '';
  note(forge, `access to ${row.name} had been changed by hand (${changed} rows${out})`, row);
}

const note = (forge: Pick<Forge, 'store'>, text: string, row?: Repository) =>
  addEvent(forge.store, { kind: 'mended', text, ...(row && { repository: row.id }) });
