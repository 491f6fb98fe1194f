import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { randomUUID } from 'node:crypto';
import type { Paths } from '../config/paths.ts';
import { OperatorError } from '../errors.ts';
import type { Forge } from '../forge.ts';
import { splitRemoteUrl } from '../mirror/remote/address.ts';
import { listRemote, withRemote } from '../mirror/remote/remote.ts';
import { type SourceForm, sourceForm } from '../mirror/upstream/source.ts';
import { stageFolder } from '../mirror/upstream/stage-folder.ts';
import { parseSchedule, usualSchedule } from '../plan/schedule.ts';
import type { Source } from '../plan/repository.ts';
import { openSource } from '../repos/bring.ts';
import { secret } from '../secrets/secret.ts';
import { unpulled } from '../store/upstreams.ts';
import { type AccessFlags, type Given, reach, type Reached, readGiven } from './upstream-access.ts';

/** Where a new repository's content comes from, as far as it was looked at as who called. */
export type Origin = {
  /** For the plan, and where Fossil brings it from. */
  source: Source | undefined;
  /** Finds out whether it is Git, and how it is reached; undefined: a file, or nothing. */
  reach: (forge: Forge) => Promise<Reached | undefined>;
  discard: () => void;
};

/**
 * Gets the source of a new repository ready while the caller is still who called: what only root may read is copied.
 * @throws OperatorError (usage)
 */
export function openOrigin(
  paths: Paths,
  from: string | undefined,
  flags: AccessFlags & { dryRun: boolean },
): Origin {
  const given = readGiven(flags);
  const nothing: Origin = {
    source: undefined,
    reach: () => Promise.resolve(undefined),
    discard: () => undefined,
  };
  if (from === undefined) return nothing;
  const path = from.startsWith('file://') ? fileURLToPath(from) : from;
  const form = path === from ? sourceForm(from) : 'path';
  if (form === 'path' && statSync(path, { throwIfNoEntry: false })?.isDirectory())
    return fromFolder(paths, path, flags);
  if (form === 'git') {
    const { url } = splitRemoteUrl(from).address;
    return {
      ...nothing,
      source: { shown: url, address: secret(url) },
      reach: asking(from, form, given, flags),
    };
  }
  const { from: source, discard } = openSource(paths, from, flags.dryRun);
  return { source, discard, reach: form === 'path' ? nothing.reach : asking(from, form, given, flags) };
}

const asking =
  (
    from: string,
    form: Exclude<SourceForm, 'path'>,
    given: Given,
    flags: AccessFlags & { dryRun: boolean },
  ): Origin['reach'] =>
  (forge) =>
    reach(forge, from, form, given, flags);

function fromFolder(paths: Paths, path: string, flags: AccessFlags & { dryRun: boolean }): Origin {
  const { folder, staged, discard } = stageFolder(paths, path, flags.dryRun);
  const remoteAt = (url: string) => ({ url, credential: undefined, hostKeys: undefined });
  return {
    source: { shown: folder, address: secret(staged) },
    discard,
    reach: (forge) =>
      Promise.resolve({
        remote: remoteAt(staged),
        upstream: {
          ...unpulled,
          ...{ id: randomUUID(), kind: 'git', url: folder, createdAt: Date.now() },
          everyMs: flags.schedule === undefined ? usualSchedule : parseSchedule(flags.schedule),
          ...{ user: null, sealedCredential: null, publicKey: null, hostKeys: null },
        },
        follows: () => mayRead(forge, folder),
      }),
  };
}

/** Why a folder can't be followed by the user that the server runs as; undefined when it can. */
async function mayRead(forge: Forge, folder: string): Promise<string | undefined> {
  try {
    await withRemote(forge, { url: folder, credential: undefined, hostKeys: undefined }, listRemote);
    return undefined;
  } catch (error) {
    if (error instanceof OperatorError) return error.message;
    throw error;
  }
}
