import { join } from 'node:path';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { idOfFile } from '../repos/file.ts';
import type { Repository } from '../store/repositories.ts';

/**
 * What is private in another repository must not go where this one is mirrored: to be called whenever its file is about to be read for that.
 * @throws OperatorError (check) when another one was put into its place
 */
export function refuseAnother(
  { paths }: Pick<Forge, 'paths'>,
  row: Pick<Repository, 'id' | 'name' | 'file'>,
): void {
  if (idOfFile(join(paths.data, row.file)) === row.id) return;
  throw new OperatorError(
    `Another repository was put in the place of ${row.name}: nothing of it is mirrored.`,
    {
      next: 'It is moved away by itself while the server runs; fossilrepo status says how the former one comes back.',
      exit: 'check',
    },
  );
}
