import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../errors.ts';
import type { Forge } from '../../forge.ts';
import { fossilCloneFile } from '../../programs/fossil.ts';
import { removeDatabase } from '../../repos/make.ts';
import { openRepository } from '../../repos/open.ts';

/**
 * Clones a restored state as its people would, and looks whether all that they may have came along. Fossil's exit code alone says little.
 * @param folder takes the clone, and has room for three of them
 * @throws OperatorError (check) when it doesn't work
 */
export async function checkClone(
  { run, config }: Pick<Forge, 'run' | 'config'>,
  name: string,
  from: string,
  folder: string,
): Promise<void> {
  const file = join(folder, 'clone.fossil');
  try {
    const { stderr, code } = await run(fossilCloneFile(config.programs.fossil, { from, file, home: folder }));
    // What it prints besides holds a password.
    const said = stderr.trim().split('\n').at(-1) ?? '';
    if (code !== 0 || !existsSync(file)) throw broken(name, `can't be cloned: ${said}`);
    const [cloned] = column(file, project);
    if (cloned === undefined || cloned !== column(from, project)[0])
      throw broken(name, 'comes out of a clone as another project');
    for (const [what, sql] of Object.entries(shared)) {
      const there = new Set(column(file, sql));
      const lacking = column(from, sql).filter((hash) => !there.has(hash));
      if (lacking.length > 0)
        throw broken(name, `loses ${lacking.length} ${what} in a clone (${lacking.slice(0, 3).join(', ')})`);
    }
  } finally {
    removeDatabase(file);
  }
}

/** What a clone has: nothing private, and nothing that is shunned. */
const visible = 'rid NOT IN (SELECT rid FROM private) AND uuid NOT IN (SELECT uuid FROM shun)';
const shared = {
  artifacts: `SELECT uuid AS found FROM blob WHERE size >= 0 AND ${visible}`,
  // Worked out anew by the clone, from the artifacts alone.
  'check-ins': `SELECT uuid AS found FROM blob WHERE rid IN (SELECT objid FROM event WHERE type = 'ci') AND ${visible}`,
};

const project = "SELECT value AS found FROM config WHERE name = 'project-code'";

function column(file: string, sql: string): string[] {
  const database = openRepository(file, { readOnly: true });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => String(row['found']));
  } finally {
    database.close();
  }
}

const broken = (name: string, what: string): OperatorError =>
  new OperatorError(`${name} as it is in the replica ${what}.`, {
    next: `Check the live one: fossilrepo repo verify ${name}`,
    exit: 'check',
  });
