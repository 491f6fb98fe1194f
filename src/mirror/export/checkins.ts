import { openRepository } from '../../repos/open.ts';

/** How many check-ins a repository has that everybody with a clone may see. @throws OperatorError when the file can't be read */
export function publicCheckins(file: string): number {
  const database = openRepository(file, { readOnly: true });
  try {
    const row = database
      .prepare("SELECT count(*) AS n FROM event WHERE type = 'ci' AND objid NOT IN (SELECT rid FROM private)")
      .get();
    return Number(row?.['n']);
  } finally {
    database.close();
  }
}
