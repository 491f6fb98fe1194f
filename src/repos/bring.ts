import { randomUUID } from 'node:crypto';
import { chownSync, constants, copyFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { administratorLogin } from '../access/administrator.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { fossilClone } from '../programs/fossil.ts';
import { secret } from '../secrets/secret.ts';
import { isRoot } from '../system/identity.ts';
import { inspectCandidate } from './candidate.ts';
import { readRepository, setIdentity } from './file.ts';
import { removeDatabase } from './make.ts';
import { sanitise } from './sanitise.ts';
import { scratch } from './scratch.ts';
import { verifyRepository } from './verify.ts';

/** Where a new repository's content comes from. */
export type BroughtFrom = {
  /** An `http(s)` address, or a file that the service user can read. */
  from: string;
  /** Removes what was staged. */
  discard: () => void;
};

const isUrl = (from: string) => /^https?:\/\//.test(from);

/**
 * Gets a source ready while the caller is still who called: a file may be readable for root only, so a copy is staged for the service
 * user. The source is not changed.
 * @param dry true: only look whether it is there
 * @throws OperatorError (usage) when there is no such file, or somebody writes to it
 */
export function openSource(paths: Paths, from: string, dry: boolean): BroughtFrom {
  if (isUrl(from)) return { from, discard: () => undefined };
  if (/^[a-z+]+:\/\//.test(from))
    throw new OperatorError(`${from} can't be brought from.`, {
      next: 'Give an http or https address, or a .fossil file.',
      exit: 'usage',
    });
  const file = resolve(from);
  if (!existsSync(file) || !statSync(file).isFile())
    throw new OperatorError(`There is no file ${file}.`, {
      next: 'Give an http or https address, or a .fossil file.',
      exit: 'usage',
    });
  if (dry) return { from: file, discard: () => undefined };
  const staged = join(paths.tmp, `from-${randomUUID()}.fossil`);
  stage(paths, file, staged);
  return { from: staged, discard: () => removeDatabase(staged) };
}

/** Copies a database with its log. Not by SQLite: that would run it as root. */
function stage(paths: Paths, file: string, staged: string): void {
  mkdirSync(paths.tmp, { recursive: true });
  const before = statSync(file);
  for (const suffix of ['', '-wal', '-journal']) {
    if (!existsSync(file + suffix)) continue;
    copyFileSync(file + suffix, staged + suffix, constants.COPYFILE_EXCL);
    if (isRoot()) {
      const { uid, gid } = statSync(paths.tmp);
      chownSync(staged + suffix, uid, gid);
    }
  }
  const after = statSync(file);
  if (before.size === after.size && before.mtimeMs === after.mtimeMs) return;
  removeDatabase(staged);
  throw new OperatorError(`${file} is being written to.`, {
    next: 'Stop what writes to it, or give the address it is served at.',
    exit: 'usage',
  });
}

/**
 * A repository from outside, in a file that nobody sees yet: every hash checked, made safe, with an id of its own.
 * @returns what was changed to make it safe, in words
 * @throws OperatorError when it can't be fetched, or is damaged
 */
export async function bringRepository(
  forge: Pick<Forge, 'run' | 'config' | 'paths'>,
  brought: { id: string; name: string; from: string; description: string | undefined; file: string },
): Promise<string[]> {
  const { file, from } = brought;
  removeDatabase(file);
  if (isUrl(from)) await clone(forge, from, file);
  else
    for (const suffix of ['', '-wal', '-journal'])
      if (existsSync(from + suffix)) renameSync(from + suffix, file + suffix);
  if (inspectCandidate(file) !== 'repository')
    throw new OperatorError(`${from} is no Fossil repository.`, { exit: 'usage' });
  const { words } = sanitise(file);
  using home = scratch(forge.paths);
  const { errors } = await verifyRepository(
    forge.run,
    { program: forge.config.programs.fossil, home: home.path },
    file,
  );
  if (errors.length > 0)
    throw new OperatorError(`${from} is damaged: ${errors.slice(0, 5).join('; ')}`, {
      next: 'Bring it from another copy.',
    });
  const { description } = readRepository(file);
  setIdentity(file, { id: brought.id, name: brought.name, description: brought.description ?? description });
  return words;
}

async function clone(
  { run, config, paths }: Pick<Forge, 'run' | 'config' | 'paths'>,
  url: string,
  file: string,
): Promise<void> {
  using home = scratch(paths);
  await run(
    fossilClone(config.programs.fossil, {
      url: secret(url),
      file,
      adminUser: administratorLogin,
      home: home.path,
    }),
  );
  if (!existsSync(file))
    throw new OperatorError(`Nothing was cloned from ${new URL(url).host}.`, {
      next: 'Try the address with fossil clone; it may want a login.',
    });
}
