import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tokenOf } from '../access/members.ts';
import { administratorLogin } from '../access/administrator.ts';
import { messageOf, OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { resolves } from '../system/resolve.ts';
import { fossilClone } from '../programs/fossil.ts';
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

/** What a Fossil client on this machine needs to trust this forge's certificates. */
export function clientOf(forge: Pick<Forge, 'config' | 'paths'>, command: Command): Command {
  const roots = extraRoots(forge.config, forge.paths);
  return roots === undefined ? command : { ...command, env: { ...command.env, SSL_CERT_FILE: roots } };
}

/**
 * Looks at a repository as people do: its page answers, the administrator can clone it, and a stranger can exactly when it is public.
 * @throws OperatorError with what is wrong
 */
export async function checkRepository(forge: Forge, repository: Repository): Promise<void> {
  const url = repositoryUrl(forge.config, repository.name, await addressingOf(forge.config));
  const folder = mkdtempSync(join(forge.paths.tmp, 'outside-'));
  const clone = (address: Secret, file: string) =>
    forge.run(
      clientOf(forge, {
        ...fossilClone(forge.config.programs.fossil, {
          url: address,
          file,
          adminUser: 'outside',
          home: folder,
        }),
        timeout: 600_000,
      }),
    );
  try {
    const [page, mine, strangers] = await Promise.allSettled([
      askPage(forge, url),
      clone(signedInUrl(forge, url), join(folder, 'mine.fossil')),
      clone(secret(url), join(folder, 'stranger.fossil')),
    ]);
    if (page.status === 'rejected') throw wrong(`${url} does not answer: ${messageOf(page.reason)}`);
    if (mine.status === 'rejected' || !existsSync(join(folder, 'mine.fossil')))
      throw wrong(
        `${repository.name} cannot be cloned: ${mine.status === 'rejected' ? messageOf(mine.reason) : 'no file'}`,
      );
    const open = strangers.status === 'fulfilled' && existsSync(join(folder, 'stranger.fossil'));
    if (open && repository.visibility !== 'public')
      throw wrong(`${repository.name} is ${repository.visibility}, yet a stranger could clone it.`);
    if (!open && repository.visibility === 'public')
      throw wrong(`${repository.name} is public, yet a stranger could not clone it.`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function askPage(forge: Pick<Forge, 'config' | 'paths'>, url: string): Promise<void> {
  let address = url;
  for (let hop = 0; hop < 5; hop++) {
    const answer = await askEdge(forge, address);
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
