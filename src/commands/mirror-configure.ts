import { type Forge, withForge } from '../forge.ts';
import { remoteOf, sealCredential } from '../mirror/credential.ts';
import { describeMirror } from '../mirror/describe.ts';
import { checkMirrorName } from '../mirror/name.ts';
import { makeDeployKey } from '../mirror/remote/deploy-key.ts';
import { RemoteError } from '../mirror/remote/error.ts';
import { probeRemote } from '../mirror/remote/probe.ts';
import { withRemote } from '../mirror/remote/remote.ts';
import { type MirrorFlags, settingsOf } from '../mirror/settings.ts';
import { extrasOf, keepExtras, tryHost } from '../mirror/extras.ts';
import { givenTokens } from '../secrets/given.ts';
import type { GlobalOptions } from '../server.ts';
import { addEvent } from '../store/events.ts';
import { type Mirror, removeMirror, updateMirror } from '../store/mirrors.ts';
import { getRepository, type Repository } from '../store/repositories.ts';
import { withLock } from '../system/locks.ts';
import { OperatorError } from '../errors.ts';
import { approvedBranches } from './mirror-branches.ts';
import { approvedHostKeys } from './mirror-host-keys.ts';
import { mirrorNamed } from './mirror-show.ts';
import { agreed } from './questions.ts';

export type ConfigureFlags = MirrorFlags & {
  rename?: string;
  tokenStdin: boolean;
  apiTokenStdin: boolean;
  deployKey: boolean;
  hostKeys: boolean;
  yes: boolean;
  dryRun: boolean;
};

/** How long a push to the mirror is waited for. Milliseconds. */
const patience = 60_000;

/** `mirror configure REPO [NAME]`: other settings, another credential. What failed before is tried again after it. */
export async function mirrorConfigure(
  options: GlobalOptions,
  repository: string,
  name: string | undefined,
  flags: ConfigureFlags,
): Promise<void> {
  const settings = settingsOf(flags);
  if (flags.rename !== undefined) checkMirrorName(flags.rename);
  const { token, apiToken } = givenTokens(flags);
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    const mirror = mirrorNamed(forge, row, name);
    const overSsh = mirror.publicKey !== null;
    if (token && overSsh) throw misfit(mirror, 'a deploy key');
    if ((flags.deployKey || flags.hostKeys) && !overSsh) throw misfit(mirror, 'no SSH key');
    const gone = await approvedBranches(forge, row, { ...mirror, ...settings }, mirror, flags);
    const changes: Partial<Mirror> = {
      ...settings,
      ...(flags.rename !== undefined && { name: flags.rename }),
      ...(token && { sealedCredential: sealCredential(forge, mirror.id, token) }),
      ...(flags.hostKeys && { hostKeys: await approvedHostKeys(forge, mirror.url, flags) }),
      ...(flags.deployKey && !flags.dryRun && newKey(forge, row, mirror)),
    };
    if (token) await refuseBadToken(forge, { ...mirror, ...changes });
    const extras = extrasOf(forge, mirror, flags, apiToken);
    await tryHost(forge, row, { ...mirror, ...changes }, extras, false);
    const described = describeMirror(forge, row, { ...mirror, ...changes });
    if (flags.dryRun) {
      forge.out.result({ mirror: described, gone }, 'nothing was changed');
      return;
    }
    await withLock(forge.paths, `push-${mirror.id}`, patience, () => {
      updateMirror(forge.store, mirror.id, { ...changes, ...again(mirror) });
      return Promise.resolve();
    });
    await keepExtras(forge, { ...mirror, ...changes }, extras);
    if (flags.deployKey)
      forge.out.say('Install the new deploy key there in place of the former; then: fossilrepo sync');
    forge.out.result(
      { mirror: described, gone },
      flags.deployKey ? (described.publicKey ?? '') : `${row.name} to ${described.name}: ${described.url}`,
    );
  });
}

/** A remote that is down is no reason to keep the former token. @throws RemoteError when it refuses the new one */
async function refuseBadToken(forge: Forge, mirror: Mirror): Promise<void> {
  try {
    const { refused } = await withRemote(forge, remoteOf(forge, mirror), probeRemote);
    if (refused) throw refused;
  } catch (error) {
    if (!(error instanceof RemoteError) || error.kind === 'credential') throw error;
    forge.out.warn(`The token could not be tried: ${error.message}`);
  }
}

/** Other branches make a difference though the repository is the same, another credential shows at the remote; and whatever failed may go well now. */
const again = ({ error }: Mirror): Partial<Mirror> => ({
  stamp: null,
  comparedAt: null,
  ...(error !== null && { errorKind: 'configured', nextTryAt: null }),
});

function newKey(forge: Forge, row: Repository, { id }: Mirror): Partial<Mirror> {
  const { publicKey, privateKey } = makeDeployKey(`fossilrepo ${row.name}`);
  return { publicKey, sealedCredential: sealCredential(forge, id, privateKey) };
}

const misfit = ({ url }: Mirror, has: string) =>
  new OperatorError(`${url} has ${has}.`, {
    next: 'An SSH address takes a deploy key and host keys, https:// a token.',
    exit: 'usage',
  });

/** `mirror remove REPO NAME`: it is followed no more. What is there stays there. */
export async function mirrorRemove(
  options: GlobalOptions,
  repository: string,
  name: string,
  flags: { yes: boolean; dryRun: boolean },
): Promise<void> {
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    const mirror = mirrorNamed(forge, row, name);
    const text = `${row.name} is no longer mirrored to ${mirror.name}: ${mirror.url}`;
    if (!flags.dryRun) {
      if (!flags.yes)
        await agreed(`End the mirror ${mirror.name} of ${row.name}? What is at ${mirror.url} stays.`, false);
      await withLock(forge.paths, `push-${mirror.id}`, patience, () =>
        Promise.resolve(removeMirror(forge.store, mirror.id)),
      );
      addEvent(forge.store, { kind: 'mirror', repository: row.id, text });
      if (mirror.publicKey !== null) forge.out.say('Delete its deploy key there.');
      else if (mirror.sealedCredential !== null)
        forge.out.say('Revoke its token there, if nothing else uses it.');
    }
    forge.out.result(
      { repository: row.name, mirror: mirror.name, url: mirror.url },
      flags.dryRun ? 'nothing was changed' : text,
    );
  });
}
