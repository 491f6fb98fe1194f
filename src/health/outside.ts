import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenOf } from '../access/members.ts';
import { administratorLogin } from '../access/administrator.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { resolves } from '../system/resolve.ts';
import { fossilClone } from '../programs/fossil.ts';
import { scratch } from '../repos/scratch.ts';
import { type Addressing, repositoryUrl } from '../repos/urls.ts';
import { secret, type Secret } from '../secrets/secret.ts';
import { getMember } from '../store/members.ts';
import type { Repository } from '../store/repositories.ts';
import type { Command } from '../system/run.ts';
import { askEdge, extraRoots } from './edge-request.ts';

/** Whether repositories have names of their own here: Fossil, unlike a browser, resolves NAME.localhost only with the system's help. */
export async function addressingOf(config: Forge['config']): Promise<Addressing> {
  return config.local && !(await resolves(`fossilrepo-check.${config.domain}`)) ? 'paths' : 'names';
}

/** A clone address that signs the administrator in. */
export function signedInUrl(forge: Pick<Forge, 'store' | 'secrets'>, url: string): Secret {
  const token = tokenOf(forge, getMember(forge.store, administratorLogin)).reveal();
  return secret(url.replace('://', `://${administratorLogin}:${token}@`));
}

/**
 * What a Fossil client on this machine needs to reach this forge: trust in its certificates, and no proxy, which the machine may have for
 * the world outside. Fossil knows no `no_proxy`.
 */
export function clientOf(forge: Pick<Forge, 'config' | 'paths'>, command: Command): Command {
  const roots = extraRoots(forge.config, forge.paths);
  const env = { ...command.env, http_proxy: 'off', ...(roots === undefined ? {} : { SSL_CERT_FILE: roots }) };
  return { ...command, env };
}

/**
 * Looks at a repository as people do: its page answers, the administrator can clone it, and a stranger can exactly when it is public.
 * @throws OperatorError with what is wrong
 */
export async function checkRepository(forge: Forge, repository: Repository): Promise<void> {
  const { name, visibility } = repository;
  const url = repositoryUrl(forge.config, name, await addressingOf(forge.config));
  // The page first, alone: Fossil notes the address of its first visitor, and two first visitors at once get an error
  // (main.c, `baseurl:` in the config table has no ON CONFLICT).
  const page = await answersPage(forge, url);
  if (page !== undefined) throw wrong(`${url} does not answer: ${page}`);
  const [mine, strangers] = await Promise.all([
    cloneWhole(forge, signedInUrl(forge, url)),
    cloneWhole(forge, secret(url)),
  ]);
  if (mine !== 'cloned') throw wrong(`${name} cannot be cloned: ${mine}`);
  if (strangers === 'cloned' && visibility !== 'public')
    throw wrong(`${name} is ${visibility}, yet a stranger could clone it.`);
  const expected = visibility === 'public' ? strangers === 'cloned' : refused.test(strangers);
  if (!expected)
    throw wrong(`A stranger who tries to clone ${name}, which is ${visibility}, gets: ${strangers}`);
}

/** What Fossil says to whoever may not clone; any other failure proves nothing. */
const refused = /not authorized to clone/;

/** A clone in the middle of somebody's push may get what changed without what it changed: that is there a moment later. */
async function cloneWhole(forge: Pick<Forge, 'run' | 'config' | 'paths'>, url: Secret): Promise<string> {
  for (let tries = 1; ; tries++) {
    const said = await tryClone(forge, url);
    if (tries === 5 || !said.includes('unresolved deltas')) return said;
    await sleep(1_000);
  }
}

/** @returns `cloned`, or what was said instead */
async function tryClone(forge: Pick<Forge, 'run' | 'config' | 'paths'>, url: Secret): Promise<string> {
  using folder = scratch(forge.paths);
  const file = join(folder.path, 'clone.fossil');
  const { fossil } = forge.config.programs;
  const command = fossilClone(fossil, { url, file, adminUser: 'outside', home: folder.path });
  const { stdout, stderr } = await forge.run(clientOf(forge, { ...command, timeout: 600_000, accept: [1] }));
  return existsSync(file) && !refused.test(stdout + stderr) ? 'cloned' : `${stdout}\n${stderr}`.trim();
}

/** @returns undefined, or why there is no page */
const answersPage = (forge: Pick<Forge, 'config' | 'paths'>, url: string): Promise<string | undefined> =>
  askPage(forge, url).then(() => undefined, messageOf);

/** Looks whether a name is not answered for any more. @throws OperatorError when it is */
export async function checkGone(forge: Pick<Forge, 'config' | 'paths'>, name: string): Promise<void> {
  const url = repositoryUrl(forge.config, name, await addressingOf(forge.config));
  const { status } = await askEdge(forge, url);
  if (status !== 404) throw wrong(`${url} should not be there any more, and answers ${status}.`);
}

/** The first certificate of a name takes its time. Milliseconds. */
const patience = 60_000;

async function askPage(forge: Pick<Forge, 'config' | 'paths'>, url: string): Promise<void> {
  let address = url;
  for (let hop = 0; hop < 5; hop++) {
    const answer = await askEdge(forge, address, patience);
    if (answer.status === 200) return;
    if (answer.location === undefined || answer.status >= 400)
      throw new Error(`HTTP ${answer.status} at ${address}`);
    address = new URL(answer.location, address).href;
  }
  throw new Error(`too many redirects at ${url}`);
}

const wrong = (message: string) =>
  new OperatorError(message, {
    next: 'See fossilrepo status, and fossilrepo logs edge and logs repositories.',
  });
