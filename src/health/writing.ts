import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { fossilAddUnversioned, fossilInit, fossilSyncUnversioned } from '../programs/fossil.ts';
import { readRepository } from '../repos/file.ts';
import { openRepository } from '../repos/open.ts';
import { scratch } from '../repos/scratch.ts';
import { repositoryUrl } from '../repos/urls.ts';
import type { Repository } from '../store/repositories.ts';
import { addressingOf, clientOf, signedInUrl } from './outside.ts';

/**
 * Proves by a push through the edge, with the administrator's token, that a repository can be written, or that not even the administrator
 * can. What is pushed is an unversioned file, which leaves nothing when it is taken away again. Fossil's answer says nothing (it is 0
 * either way): the server's file does.
 * @throws OperatorError when it is otherwise
 */
export async function proveWriting(forge: Forge, repository: Repository, writable: boolean): Promise<void> {
  const { name, file } = repository;
  const live = join(forge.paths.data, file);
  const proof = `fossilrepo-proof-${randomUUID()}`;
  const said = await pushFile(forge, repository, readRepository(live).projectCode, proof);
  const arrived = takeAway(live, proof);
  // Only a push that Fossil itself left aside shows that nobody can write; of that it says nothing at all.
  const answered = /Round-trips: \d/.test(said) && !/server says|error/i.test(said);
  if (arrived === writable && (arrived || answered)) return;
  throw new OperatorError(
    arrived ? `${name} can still be written to.` : `A push to ${name} did not arrive: ${said.trim()}`,
    { next: 'See fossilrepo status, and fossilrepo logs repositories.' },
  );
}

/** Pushes from an empty repository that passes for a clone: a real one could take long. @returns what the client said */
async function pushFile(
  forge: Forge,
  { name }: Repository,
  projectCode: string,
  proof: string,
): Promise<string> {
  using folder = scratch(forge.paths);
  const home = folder.path;
  const { fossil } = forge.config.programs;
  const clone = join(home, 'clone.fossil');
  const file = join(home, 'proof.txt');
  writeFileSync(file, 'fossilrepo looks whether this repository can be written to\n');
  // The login in the clone is the one that `fossilEnvironment` names.
  await forge.run(fossilInit(fossil, { file: clone, home, name, adminUser: 'fossilrepo' }));
  withDatabase(clone, (database) =>
    database.prepare("UPDATE config SET value = ? WHERE name = 'project-code'").run(projectCode),
  );
  await forge.run(fossilAddUnversioned(fossil, { home, clone, file, name: proof }));
  const url = signedInUrl(forge, repositoryUrl(forge.config, name, await addressingOf(forge.config)));
  const push = clientOf(forge, fossilSyncUnversioned(fossil, { home, clone, url }));
  const { stdout, stderr } = await forge.run({ ...push, accept: [1] });
  return stdout + stderr;
}

/** Removes the proof as if it had never been there: a deletion through Fossil would go to every clone. @returns whether it was there */
function takeAway(file: string, proof: string): boolean {
  return withDatabase(file, (database) => {
    const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'unversioned'").get();
    if (table === undefined) return false;
    const { changes } = database.prepare('DELETE FROM unversioned WHERE name = ?').run(proof);
    // Fossil keeps the hash of the list of unversioned files here, and makes it again when it is missing (unversioned.c).
    if (changes !== 0) database.exec("DELETE FROM config WHERE name = 'uv-hash'");
    return changes !== 0;
  });
}

function withDatabase<T>(file: string, work: (database: DatabaseSync) => T): T {
  const database = openRepository(file, { readOnly: false });
  try {
    return work(database);
  } finally {
    database.close();
  }
}
