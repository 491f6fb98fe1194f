import { randomUUID } from 'node:crypto';
import { chownSync, constants, copyFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { administratorLogin } from '../access/administrator.ts';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import type { Source } from '../plan/repository.ts';
import { fossilClone } from '../programs/fossil.ts';
import { secret, type Secret } from '../secrets/secret.ts';
import { CommandError } from '../system/run.ts';
import { isRoot } from '../system/identity.ts';
import { inspectCandidate } from './candidate.ts';
import { readRepository, setIdentity } from './file.ts';
import { removeDatabase } from './make.ts';
import { sanitise } from './sanitise.ts';
import { scratch } from './scratch.ts';
import { verifyRepository } from './verify.ts';

/** A source that is ready, until it is discarded. */
export type BroughtFrom = { from: Source; discard: () => void };

/** How long nothing may be heard of a server (a large file comes in one round), and how long a clone may take in all. Milliseconds. */
export type CloneLimits = { quiet: number; timeout: number };
const usualLimits: CloneLimits = { quiet: 30 * 60_000, timeout: 24 * 3_600_000 };

const isUrl = (from: string) => /^https?:\/\//.test(from);

/**
 * Gets a source ready while the caller is still who called: a file may be readable for root only, so a copy is staged for the service
 * user. The source is not changed.
 * @param from an `http(s)` address, which may hold a login and a password, or a file
 * @param dry true: only look whether it is there
 * @throws OperatorError (usage) when there is no such file, or somebody writes to it
 */
export function openSource(paths: Paths, from: string, dry: boolean): BroughtFrom {
  const nothing = () => undefined;
  if (isUrl(from)) return { from: { shown: shownAddress(from), address: secret(from) }, discard: nothing };
  if (/^[a-z+]+:\/\//.test(from))
    throw new OperatorError(`${shownAddress(from)} can't be brought from.`, {
      next: 'Give an http or https address, or a .fossil file.',
      exit: 'usage',
    });
  const file = resolve(from);
  if (!existsSync(file) || !statSync(file).isFile())
    throw new OperatorError(`There is no file ${file}.`, {
      next: 'Give an http or https address, or a .fossil file.',
      exit: 'usage',
    });
  if (dry) return { from: { shown: file, address: secret(file) }, discard: nothing };
  const staged = join(paths.tmp, `from-${randomUUID()}.fossil`);
  stage(paths, file, staged);
  return { from: { shown: file, address: secret(staged) }, discard: () => removeDatabase(staged) };
}

/** An address without who signs in. @throws OperatorError (usage) when it is none */
function shownAddress(address: string): string {
  if (!URL.canParse(address))
    throw new OperatorError('This is no address that can be brought from.', {
      next: 'Give one like https://LOGIN@example.com/name; what is special in a password is written as %XX.',
      exit: 'usage',
    });
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
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
  brought: { id: string; name: string; from: Source; description: string | undefined; file: string },
  limits = usualLimits,
): Promise<string[]> {
  const { file, from } = brought;
  removeDatabase(file);
  const address = from.address.reveal();
  if (isUrl(address)) await clone(forge, from, file, limits);
  else
    for (const suffix of ['', '-wal', '-journal'])
      if (existsSync(address + suffix)) renameSync(address + suffix, file + suffix);
  if (inspectCandidate(file) !== 'repository')
    throw new OperatorError(`${from.shown} is no Fossil repository.`, { exit: 'usage' });
  const { words } = sanitise(file);
  using home = scratch(forge.paths);
  const { errors } = await verifyRepository(
    forge.run,
    { program: forge.config.programs.fossil, home: home.path },
    file,
  );
  if (errors.length > 0)
    throw new OperatorError(`${from.shown} is damaged: ${errors.slice(0, 5).join('; ')}`, {
      next: 'Bring it from another copy.',
    });
  const { projectName, description } = readRepository(file);
  setIdentity(file, {
    id: brought.id,
    name: projectName === '' ? brought.name : undefined,
    description: brought.description ?? description,
  });
  return words;
}

async function clone(
  { run, config, paths }: Pick<Forge, 'run' | 'config' | 'paths'>,
  { address, shown }: Source,
  file: string,
  limits: CloneLimits,
): Promise<void> {
  using home = scratch(paths);
  const { fossil } = config.programs;
  const command = fossilClone(fossil, {
    url: address,
    file,
    adminUser: administratorLogin,
    home: home.path,
  });
  const { stdout, stderr } = await run({ ...command, ...limits, accept: [1] }).catch((error: unknown) => {
    removeDatabase(file);
    if (!(error instanceof CommandError) || error.ended !== 'took too long') throw error;
    throw new OperatorError(
      `Nothing was cloned from ${shown}: it did not get on in time, and the work was ended.`,
      {
        next: 'Look whether its server is well; or bring it from a .fossil file.',
      },
    );
  });
  if (existsSync(file)) return;
  const said = withoutSecret((stderr || stdout).trim().split('\n').slice(-3).join(' '), address);
  throw new OperatorError(`Nothing was cloned from ${shown}: ${said}`, {
    next: 'Try the address with fossil clone; it may want a login.',
  });
}

/** Fossil repeats an address that it can't use. */
function withoutSecret(text: string, address: Secret): string {
  const { password } = new URL(address.reveal());
  const clear = [password, decodeURIComponent(password)].filter((word) => word !== '');
  return clear.reduce((rest, word) => rest.replaceAll(word, '[secret]'), text);
}
