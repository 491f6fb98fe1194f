import { randomUUID } from 'node:crypto';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Paths } from '../../config/paths.ts';
import { OperatorError } from '../../errors.ts';
import { isRoot } from '../../system/identity.ts';

/** A copy of a Git repository for the service user, until it is discarded. */
export type StagedFolder = { folder: string; staged: string; discard: () => void };

/**
 * Copies a Git repository on this machine, bare or with a work tree, while the caller is still who called: it may be readable for root only.
 * Its objects and refs alone, none of its settings and hooks; git is not run, which would obey them.
 * @param dry true: only look whether it is one
 * @throws OperatorError (usage) when it is none, or borrows its objects from another one
 */
export function stageFolder(paths: Pick<Paths, 'tmp'>, given: string, dry: boolean): StagedFolder {
  const folder = resolve(given);
  const git = gitFolder(folder);
  const common = existsSync(join(git, 'commondir'))
    ? resolve(git, readFileSync(join(git, 'commondir'), 'utf8').trim())
    : git;
  if (!existsSync(join(common, 'objects')) || !existsSync(join(git, 'HEAD')))
    throw notGit(folder, 'it is no Git repository');
  for (const [file, why] of [
    ['objects/info/alternates', 'it borrows objects from another repository'],
    ['shallow', 'it is a shallow clone, which has only the end of its history'],
    ['reftable', 'it keeps its refs in a format that is not known here'],
  ] as const)
    if (existsSync(join(common, file))) throw notGit(folder, why);
  const staged = join(paths.tmp, `from-${randomUUID()}.git`);
  if (dry) return { folder, staged: folder, discard: () => undefined };
  const discard = () => rmSync(staged, { recursive: true, force: true });
  try {
    mkdirSync(staged, { recursive: true, mode: 0o700 });
    writeFileSync(join(staged, 'config'), '[core]\n\trepositoryformatversion = 0\n\tbare = true\n');
    cpSync(join(git, 'HEAD'), join(staged, 'HEAD'));
    for (const part of ['packed-refs', 'refs', 'objects'])
      if (existsSync(join(common, part)))
        cpSync(join(common, part), join(staged, part), { recursive: true, verbatimSymlinks: true });
    if (isRoot()) giveTo(staged, statSync(paths.tmp));
  } catch (error) {
    discard();
    throw error;
  }
  return { folder, staged, discard };
}

function gitFolder(folder: string): string {
  const inside = join(folder, '.git');
  if (!existsSync(inside)) return folder;
  if (statSync(inside).isDirectory()) return inside;
  const [, path] = /^gitdir: (.+)$/m.exec(readFileSync(inside, 'utf8')) ?? [];
  if (path === undefined) throw notGit(folder, 'its file .git names no folder');
  return resolve(folder, path);
}

function giveTo(path: string, owner: { uid: number; gid: number }): void {
  const entry = lstatSync(path);
  if (entry.isSymbolicLink()) throw new OperatorError(`${path} is a symbolic link, which is not followed.`);
  chownSync(path, owner.uid, owner.gid);
  if (entry.isDirectory()) for (const name of readdirSync(path)) giveTo(join(path, name), owner);
}

const notGit = (folder: string, why: string) =>
  new OperatorError(`${folder} can't be imported: ${why}.`, {
    next: 'Give the folder of a whole Git repository, or its address; git clone --bare makes one.',
    exit: 'usage',
  });
