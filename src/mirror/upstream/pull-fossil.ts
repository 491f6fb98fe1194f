import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { administratorLogin } from '../../access/administrator.ts';
import type { Forge } from '../../forge.ts';
import { fossilAsk, fossilPull, type Pulled, readPull } from '../../programs/fossil.ts';
import { readRepository } from '../../repos/file.ts';
import { removeDatabase } from '../../repos/make.ts';
import { openRepository } from '../../repos/open.ts';
import { cameBy } from '../../repos/restore/fit.ts';
import { scratch } from '../../repos/scratch.ts';
import type { Repository } from '../../store/repositories.ts';
import type { Upstream } from '../../store/upstreams.ts';
import { CommandError } from '../../system/run.ts';
import { type Came, nothing, type PullOptions } from './came.ts';
import { openedSecret } from './credential.ts';
import { deliver, notDelivered } from './deliver.ts';
import { UpstreamError } from './error.ts';
import { makeUpstreamFolder, upstreamClone } from './place.ts';
import { signedInAddress } from './source.ts';

/** How long nothing may be heard, which from Fossil 2.25 on is the whole transfer, and how long it may take in all. Milliseconds. */
const limits = { quiet: 60 * 60_000, timeout: 6 * 3_600_000 };

/** How long it is waited for any answer at all, before a pull is begun. Milliseconds. */
const askLimit = 60_000;

/**
 * Takes what is new in a Fossil upstream: into a clone of our own first, since Fossil holds a repository's lock while it waits for the other
 * side, and from there into the hosted one. The caller holds the repository's `pull` lock.
 * @throws OperatorError; then the repository is as before
 */
export async function pullFossil(
  forge: Forge,
  row: Repository,
  upstream: Upstream,
  { signal }: PullOptions,
): Promise<Came> {
  const file = join(forge.paths.data, row.file);
  const clone = cloneOf(forge, row, file);
  await fetchInto(forge, clone, upstream, signal);
  const fresh = notDelivered(clone, file);
  if (fresh.length === 0) return nothing;
  const before = readRepository(file).checkins;
  await deliver(forge, row.id, { from: clone, restore: cameBy(clone) }, signal);
  return {
    checkins: Math.max(0, readRepository(file).checkins - before),
    tags: 0,
    artifacts: fresh.length,
    notes: [],
  };
}

/**
 * What was pulled before; made from the hosted repository when it isn't there, is another project's, or that was restored since. It holds
 * all that was in the repository then, also what people had pushed, which a restore took away; and it says by which restore that had come.
 */
function cloneOf({ paths }: Forge, row: Repository, file: string): string {
  const clone = upstreamClone(paths, row.id);
  const { projectCode } = readRepository(file);
  if (existsSync(clone) && readable(clone) === projectCode && cameBy(clone) === cameBy(file)) return clone;
  makeUpstreamFolder(paths, row.id);
  const made = `${clone}.new`;
  removeDatabase(made);
  using database = openRepository(file, { readOnly: true });
  database.prepare('VACUUM INTO ?').run(made);
  forgetPeople(made);
  removeDatabase(clone);
  renameSync(made, clone);
  return clone;
}

/** Nobody signs in to a clone that only we have; but Fossil asks also a file what its reader may. */
function forgetPeople(file: string): void {
  using database = openRepository(file, { readOnly: false });
  database
    .prepare("DELETE FROM user WHERE login NOT IN ('nobody', 'anonymous', 'developer', 'reader', ?)")
    .run(administratorLogin);
  database.exec("UPDATE user SET pw = '', cookie = NULL, cap = iif(login = 'nobody', 'go', '')");
}

function readable(file: string): string | undefined {
  try {
    return readRepository(file).projectCode;
  } catch {
    return undefined;
  }
}

async function fetchInto(
  forge: Forge,
  clone: string,
  upstream: Upstream,
  signal: AbortSignal | undefined,
): Promise<Pulled> {
  using home = scratch(forge.paths);
  await refuseSilent(forge, { url: upstream.url, home: home.path, signal });
  const from = signedInAddress({
    url: upstream.url,
    user: upstream.user ?? undefined,
    password: openedSecret(forge, upstream),
  });
  const pull = fossilPull(forge.config.programs.fossil, {
    ...{ file: clone, from, user: administratorLogin, home: home.path },
  });
  try {
    const pulled = readPull(await forge.run({ ...pull, ...limits, signal }), true);
    if (pulled.problem === undefined) return pulled;
    throw explain(upstream, withoutSecret(pulled.problem, forge, upstream));
  } catch (error) {
    if (error instanceof CommandError && error.ended !== 'answered')
      throw new UpstreamError(
        'timeout',
        `${upstream.url} ${error.ended === 'stopped' ? 'was being pulled from when the work was stopped' : 'did not get on in time, and the work was ended'}.`,
      );
    if (error instanceof CommandError)
      throw explain(upstream, withoutSecret(error.stderr.trim(), forge, upstream));
    throw error;
  }
}

/**
 * Where nobody says a word a pull would be waited for an hour. What is answered, and what else goes wrong, is the pull's to tell.
 * @param ask.timeout milliseconds
 * @throws UpstreamError (timeout)
 */
export async function refuseSilent(
  { run, config }: Pick<Forge, 'run' | 'config'>,
  ask: { url: string; home: string; signal?: AbortSignal | undefined; timeout?: number },
): Promise<void> {
  const timeout = ask.timeout ?? askLimit;
  try {
    await run({ ...fossilAsk(config.programs.fossil, ask), timeout, signal: ask.signal });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.ended === 'stopped')
      throw new UpstreamError('timeout', `${ask.url} was being asked when the work was stopped.`);
    if (error.ended === 'took too long')
      throw new UpstreamError('timeout', `${ask.url} said nothing for ${timeout / 1_000} s.`, {
        next: 'It is tried again by itself; look whether the server is up.',
      });
  }
}

function withoutSecret(text: string, forge: Forge, upstream: Upstream): string {
  const password = openedSecret(forge, upstream)?.reveal();
  if (password === undefined) return text;
  return [password, encodeURIComponent(password)].reduce(
    (rest, word) => rest.replaceAll(word, '[secret]'),
    text,
  );
}

const explanations = [
  [
    /wrong project|project.code/i,
    'unrelated',
    'is another project',
    'A repository follows the project that it was made from.',
  ],
  [
    /login failed|missing or incorrect/i,
    'credential',
    'refused the login, or is another project (Fossil says the same of both)',
    'Give the login and password that may read there: upstream set.',
  ],
  [
    /not authorized/i,
    'credential',
    'may not be read by this login',
    'Give a login and password that may clone there: upstream set.',
  ],
  [/404|not found/i, 'missing', 'has no such repository', 'Look whether the address is right.'],
  [
    /certificate|SSL|TLS/i,
    'unreachable',
    'could not prove with its certificate who it is',
    'Look at its certificate.',
  ],
] as const;

function explain({ url }: Upstream, said: string): UpstreamError {
  const found = explanations.find(([pattern]) => pattern.test(said));
  const [, kind, what, next] = found ?? [
    undefined,
    'unreachable' as const,
    'did not answer as Fossil does',
    'It is tried again by itself; look whether the server is up.',
  ];
  return new UpstreamError(kind, `${url} ${what}. (${said.slice(0, 300)})`, { next });
}
