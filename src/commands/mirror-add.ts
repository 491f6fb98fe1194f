import { isBusy, messageOf, OperatorError } from '../errors.ts';
import { type Forge, withForge } from '../forge.ts';
import { sealCredential } from '../mirror/credential.ts';
import { describeMirror } from '../mirror/describe.ts';
import { checkFolder, checkWays, formerOf, fresh, isHttp } from '../mirror/draft.ts';
import { type Extras, extrasOf, keepExtras, tryHost } from '../mirror/extras.ts';
import { checkMirrorName, nameFrom } from '../mirror/name.ts';
import { type RemoteAddress, splitRemoteUrl } from '../mirror/remote/address.ts';
import { makeDeployKey } from '../mirror/remote/deploy-key.ts';
import { needsMending, RemoteError } from '../mirror/remote/error.ts';
import { type MirrorFlags, settingsOf } from '../mirror/settings.ts';
import { type Trial, tryMirror } from '../mirror/try.ts';
import { waitsForHand } from '../plan/sync.ts';
import { givenTokens } from '../secrets/given.ts';
import type { Secret } from '../secrets/secret.ts';
import type { GlobalOptions } from '../server.ts';
import { addEvent } from '../store/events.ts';
import { findMirror, findMirrorById, insertMirror, type Mirror, updateMirror } from '../store/mirrors.ts';
import { getRepository, type Repository } from '../store/repositories.ts';
import { cleared } from '../store/tries.ts';
import { approvedBranches } from './mirror-branches.ts';
import { approvedHostKeys } from './mirror-host-keys.ts';
import { tellTrial } from './mirror-trial.ts';
import { askForToken, somebodyIsThere } from './questions.ts';

export type AddFlags = MirrorFlags & {
  name?: string;
  tokenStdin: boolean;
  apiTokenStdin: boolean;
  create: boolean;
  deployKey: boolean;
  yes: boolean;
  dryRun: boolean;
};

/**
 * `mirror add REPO URL`: a Git remote that follows the repository from now on. It is tried at once. With a deploy key, which has to be
 * installed there first, it waits for that: the same command again goes on.
 */
export async function mirrorAdd(
  options: GlobalOptions,
  repository: string,
  url: string,
  flags: AddFlags,
): Promise<void> {
  const { address, token: written } = splitRemoteUrl(url);
  const name = flags.name ?? nameFrom(address.host);
  checkMirrorName(name);
  const settings = settingsOf({
    ...(address.user !== undefined && isHttp(address) && { user: address.user }),
    ...flags,
  });
  checkWays(address, flags);
  const tokens = givenTokens(flags);
  const given = tokens.token ?? written;
  await withForge(options, async (forge) => {
    const row = getRepository(forge.store, repository);
    if (row.hidden || row.state !== 'active')
      throw new OperatorError(`${repository} is not in service.`, { exit: 'usage' });
    checkFolder(forge, address);
    const former = formerOf(forge, row, name, address);
    const base = former ?? { ...fresh(row, name, address), ...settings };
    await approvedBranches(forge, row, { ...base, ...settings }, former, flags);
    if (written)
      forge.out.warn(
        'The address held a token: others could read it in the list of processes. Better replace it.',
      );
    const token = given ?? (isHttp(address) && !former ? await tokenAsked(address) : undefined);
    if (token && address.protocol === 'http')
      forge.out.warn('http:// shows the token to everybody on the way.');
    const mirror = { ...base, ...settings, ...sealed(forge, base.id, token) };
    const extras = extrasOf(forge, mirror, flags, tokens.apiToken);
    if (flags.create && flags.dryRun) {
      const text = `${address.url} would be made, if it is not there; nothing was changed`;
      forge.out.result({ mirror: describeMirror(forge, row, mirror) }, text);
      return;
    }
    if (await tryHost(forge, row, mirror, extras, flags.create)) forge.out.say(`${address.url} was made`);
    if (address.protocol === 'ssh') await addByKey(forge, row, mirror, former, flags, extras);
    else await addTried(forge, row, mirror, former, flags, extras);
  });
}

/** Kept only when it works. */
async function addTried(
  forge: Forge,
  row: Repository,
  mirror: Mirror,
  former: Mirror | undefined,
  flags: AddFlags,
  extras: Extras,
): Promise<void> {
  const trial = await tried(forge, row, mirror);
  if (flags.dryRun) {
    forge.out.result({ mirror: describeMirror(forge, row, mirror), ...plan(trial) }, 'nothing was changed');
    return;
  }
  keep(forge, row, { ...mirror, ...anew }, former);
  await keepExtras(forge, mirror, extras);
  told(forge, row, mirror, trial);
}

/** Kept before it is tried: who has its public half may not have installed it yet. */
async function addByKey(
  forge: Forge,
  row: Repository,
  draft: Mirror,
  former: Mirror | undefined,
  flags: AddFlags,
  extras: Extras,
): Promise<void> {
  const hostKeys = draft.hostKeys ?? (await approvedHostKeys(forge, draft.url, flags));
  if (flags.dryRun && !former) {
    forge.out.result(
      { mirror: describeMirror(forge, row, { ...draft, hostKeys }) },
      'a deploy key would be made; nothing was changed',
    );
    return;
  }
  const mirror = { ...draft, hostKeys, ...(draft.publicKey === null && newKey(forge, row, draft)) };
  if (!former) keep(forge, row, { ...mirror, ...waiting() }, undefined);
  if (!flags.dryRun) await keepExtras(forge, mirror, extras);
  let trial: Trial;
  try {
    trial = await tried(forge, row, mirror);
  } catch (error) {
    if (former || !(error instanceof RemoteError) || !['credential', 'missing'].includes(error.kind)) {
      if (!flags.dryRun && !isBusy(error)) noteRefused(forge, mirror, error);
      throw error;
    }
    const { publicKey } = mirror;
    forge.out.say('Install this deploy key there, with the right to write; then run the same command again:');
    forge.out.result(
      { mirror: describeMirror(forge, row, { ...mirror, ...waiting() }), waiting: true },
      publicKey ?? '',
    );
    return;
  }
  if (!flags.dryRun) keep(forge, row, { ...mirror, ...anew }, mirror);
  told(forge, row, mirror, trial);
}

async function tried(forge: Forge, row: Repository, mirror: Mirror): Promise<Trial> {
  const { out } = forge;
  if (out.live) out.say(`trying ${mirror.url}`);
  const trial = await tryMirror(forge, row, mirror);
  tellTrial(out, row, mirror, trial);
  if (mirror.onDivergence === 'refuse' && trial.diverged.length > 0)
    throw new OperatorError(
      `${mirror.url} holds commits that are not from here, and nothing of them is overwritten.`,
      {
        next: 'Use an empty repository; or say --on-divergence overwrite to lose them, keep to leave their branches alone.',
        exit: 'check',
      },
    );
  return trial;
}

function told(forge: Forge, row: Repository, mirror: Mirror, trial: Trial): void {
  forge.out.say(`It is brought up to date within a minute; at once by: fossilrepo sync ${row.name}`);
  const now = findMirror(forge.store, row.id, mirror.name) ?? mirror;
  forge.out.result(
    { mirror: describeMirror(forge, row, now), ...plan(trial), waiting: false },
    `${row.name} is mirrored to ${mirror.name}: ${mirror.url}`,
  );
}

const plan = ({ refs, commits }: Trial) => ({ refs, commits });

async function tokenAsked({ host }: RemoteAddress): Promise<Secret | undefined> {
  return somebodyIsThere() ? await askForToken(host) : undefined;
}

const sealed = (forge: Forge, id: string, token: Secret | undefined): Partial<Mirror> =>
  token ? { sealedCredential: sealCredential(forge, id, token) } : {};

function newKey(
  forge: Forge,
  row: Repository,
  { id }: Mirror,
): Pick<Mirror, 'publicKey' | 'sealedCredential'> {
  const { publicKey, privateKey } = makeDeployKey(`fossilrepo ${row.name}`);
  return { publicKey, sealedCredential: sealCredential(forge, id, privateKey) };
}

/** Not tried by itself until somebody says that the key is there. */
const waiting = () => ({
  error: 'It waits for its deploy key to be installed there.',
  errorKind: 'credential',
  failingSince: Date.now(),
});

/** One that waits does so for what the last try said, which may be the key no longer. One that was brought there before says so itself. */
function noteRefused({ store }: Pick<Forge, 'store'>, { id }: Mirror, error: unknown): void {
  const now = findMirrorById(store, id);
  if (!now || !waitsForHand(now) || now.okAt !== null) return;
  const known = error instanceof RemoteError && needsMending(error.kind);
  updateMirror(store, id, { error: messageOf(error), errorKind: known ? error.kind : 'adding' });
}

/** It works: looked at anew, at once. */
const anew = { ...cleared, stamp: null } as const;

function keep(
  { store }: Pick<Forge, 'store'>,
  row: Repository,
  mirror: Mirror,
  former: Mirror | undefined,
): void {
  if (former) {
    updateMirror(store, mirror.id, mirror);
    return;
  }
  insertMirror(store, mirror);
  const text = `${row.name} gets a mirror ${mirror.name}: ${mirror.url}`;
  addEvent(store, { kind: 'mirror', repository: row.id, text });
}
