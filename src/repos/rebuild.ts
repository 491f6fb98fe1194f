import { constants, copyFileSync } from 'node:fs';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { fossilRebuild } from '../programs/fossil.ts';
import { removeDatabase } from './make.ts';
import { openRepository } from './open.ts';
import { scratch } from './scratch.ts';
import { verifyRepository } from './verify.ts';

/**
 * Writes a repository that nobody has open anew into another file, by Fossil's rebuild and SQLite's VACUUM.
 * @throws OperatorError when the two don't hold the same, or the new one is damaged; the new one is gone then
 */
export async function rebuildRepository(
  { run, config, paths }: Pick<Forge, 'run' | 'config' | 'paths'>,
  from: string,
  to: string,
): Promise<void> {
  removeDatabase(to);
  const { fossil: program } = config.programs;
  using home = scratch(paths);
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
    await run(fossilRebuild(program, { file: to, home: home.path }));
    const { errors } = await verifyRepository(run, { program, home: home.path }, to);
    const same = contentOf(from) === contentOf(to);
    if (same && errors.length === 0) return;
    throw new OperatorError(
      `The rebuilt file is not as it should be: ${errors.slice(0, 5).join('; ') || 'it holds other artifacts'}.`,
      {
        next: 'Nothing was changed. Check the repository with fossilrepo repo verify.',
        exit: 'check',
      },
    );
  } catch (error) {
    removeDatabase(to);
    throw error;
  }
}

/** Every artifact and unversioned file by its hash, and every login. What is shunned Fossil's rebuild removes, as it should. */
function contentOf(file: string): string {
  const database = openRepository(file, { readOnly: true });
  try {
    const has = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
    const wanted = has.get('shun') ? 'uuid NOT IN (SELECT uuid FROM shun)' : 'true';
    const queries = [
      `SELECT uuid FROM blob WHERE size >= 0 AND ${wanted} ORDER BY uuid`,
      'SELECT login FROM user ORDER BY login',
      ...(has.get('unversioned') ? ['SELECT name, hash FROM unversioned ORDER BY name'] : []),
    ];
    return JSON.stringify(queries.map((query) => database.prepare(query).all()));
  } finally {
    database.close();
  }
}
