import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { idsOf } from '../apply/apply.ts';
import { endBringing, noteBringing } from '../apply/bringing.ts';
import { noteBroughtBack } from '../backup/fence.ts';
import { fetchManagement } from '../backup/former.ts';
import { openReplicaStore } from '../backup/open.ts';
import { heartbeatAge, noticing, checkOwner, takeOver } from '../backup/owner.ts';
import { pathsUnder, ownProgram } from '../config/paths.ts';
import { exitCodes, OperatorError } from '../errors.ts';
import { describeFormer } from '../plan/describe-former.ts';
import { placeOf } from '../plan/repository.ts';
import type { Bundle } from '../secrets/bundle/format.ts';
import { placeBundle } from '../secrets/bundle/place.ts';
import { keepRecipient, noteShown, readRecovery } from '../secrets/bundle/recovery.ts';
import { loadSecrets } from '../secrets/load.ts';
import { newToken } from '../secrets/passwords.ts';
import { seal } from '../secrets/seal.ts';
import { parseStorageCredentials, type StorageCredentials } from '../secrets/storage.ts';
import type { GlobalOptions, Server } from '../server.ts';
import { noteBrought } from '../store/brought.ts';
import { listMembers, updateMember } from '../store/members.ts';
import { allRepositories } from '../store/repositories.ts';
import { openStore, putInPlace } from '../store/store.ts';
import { withTemporaryFolder } from '../system/files.ts';
import { isRoot, requireOwner, serviceUsers } from '../system/identity.ts';
import { cleanEnvironment } from '../system/run.ts';
import { findFormer, type Found, type FromFlags } from './find-former.ts';
import { alive, clocksApart } from './judge-former.ts';
import { applyAlone, planServer } from './plan-and-apply.ts';
import { prove } from './prove.ts';
import { agreed } from './questions.ts';
import { up } from './up.ts';

/**
 * `fossilrepo install --from`: a server that is gone, from its replica: configuration, secrets, certificates, the management database and
 * every repository, to one instant. Killed at any point and run again, it goes on.
 * @returns whether there was anything to bring back; false when that server is here already
 */
export async function installFrom(options: GlobalOptions, flags: FromFlags): Promise<boolean> {
  const paths = pathsUnder(options.root);
  requireOwner(paths);
  const found = await findFormer(options, flags, paths);
  if (found === undefined) return false;
  const { server, former, at, owner } = found;
  const described = describeFormer(former, owner, at ?? null, flags.from);
  if (flags.dryRun) {
    server.out.result({ former: summary(found), at: at?.toISOString() ?? null }, described);
    return true;
  }
  server.out.say(described);
  if (!flags.yes) await agreed('Bring it back on this machine?', true);
  await own(found);
  noteBringing(paths, {
    from: flags.from,
    instance: former.instance,
    at: at?.toISOString() ?? null,
  });
  await layDown(server, found);
  const brought = await bringAll(options);
  noteOwnership(found);
  endBringing(paths);
  const told = `${brought.repositories} of ${brought.repositories + brought.failed.length} repositories are back.`;
  server.out.say(told);
  if (at && brought.failed.length > 0) server.out.say(othersTo(at, brought.failed));
  if (brought.failed.length > 0) process.exitCode = exitCodes.partly;
  const { configText, keys } = found;
  if (server.supervisor.kind === 'foreground') {
    await up(options, { configText, keys });
    return true;
  }
  await applyAlone(server, (await planServer(server, configText, { keys })).steps);
  await restartSsh(server);
  await prove(options, {
    also: { brought },
    next: `fossilrepo backup verify, and turn ${owner.hostname} off for good, should it run anywhere`,
  });
  return true;
}

/** From here on the former server writes nothing any more. Run again, the replica is ours already, but it may not have noticed. */
async function own({ source, owner, me, mine, begun }: Found): Promise<void> {
  const store = openReplicaStore(source.config.replica, source.secrets.storage);
  if (!mine || owner.boot !== me.boot) await takeOver(store, me);
  if (mine) await sleep(begun ? 0 : Math.max(0, noticing - heartbeatAge(owner)));
  else if (heartbeatAge(owner) <= alive + clocksApart) await sleep(noticing);
  // A heartbeat that was on its way to a slow storage has made it the former server's again.
  if ((await checkOwner(store, me)) === 'ours') return;
  await takeOver(store, me);
  await sleep(noticing);
}

/** All but the repositories, into its place. The parts don't run yet. */
async function layDown(server: Server, { source, at, former, configText, keys }: Found): Promise<void> {
  const { paths } = server;
  const { secrets, instance } = former;
  mkdirSync(dirname(paths.database), { recursive: true, mode: 0o711 });
  await withTemporaryFolder(async (folder) => {
    const fetched = join(folder, 'management.db');
    // Again: until now the former server could still write.
    await fetchManagement(source, at, fetched);
    const beside = `${paths.database}.brought`;
    copyFileSync(fetched, beside);
    putInPlace(beside, paths);
  });
  if (secrets) {
    placeBundle(secrets.bundle, paths, ['configuration', 'secrets', 'ssh']);
    const { recipient } = secrets;
    if (readRecovery(paths)?.recipient !== recipient)
      keepRecipient(paths, { recipient, madeAt: new Date().toISOString(), instance });
  }
  const keysToHave = keys ?? (secrets && keysIn(secrets.bundle));
  await applyAlone(server, (await planServer(server, configText, { parts: false, keys: keysToHave })).steps);
  const users = isRoot() && paths.root === '/';
  if (users) {
    const { uid, gid } = statSync(paths.state);
    chownSync(paths.database, uid, gid);
  }
  const edge = { user: serviceUsers.edge, group: serviceUsers.edge };
  if (secrets) placeBundle(secrets.bundle, paths, ['edge'], users ? { edge: idsOf(edge) } : {});
  else renewTokens(paths);
}

/** What was sealed with a key that is lost is made anew. */
function renewTokens(paths: Server['paths']): void {
  const { instanceKey } = loadSecrets(paths);
  using store = openStore(paths, { create: false });
  for (const { id, login } of listMembers(store, { disabled: true }))
    updateMember(store, id, { sealedToken: seal(instanceKey, `token:${login}`, newToken().reveal()) });
}

function keysIn(bundle: Bundle): StorageCredentials | undefined {
  const found = bundle.files.find(({ path }) => path.endsWith('secrets/storage'));
  return found && parseStorageCredentials(Buffer.from(found.base64, 'base64').toString('utf8'), 'the bundle');
}

const broughtAnswer = z.object({
  repositories: z.int(),
  failed: z.array(z.object({ id: z.string(), name: z.string(), state: z.string(), error: z.string() })),
});
type BroughtAnswer = z.output<typeof broughtAnswer>;

/** What brings those to the instant that did not come back. By their ids: a deleted one may have had another's name. */
function othersTo(at: Date, failed: BroughtAnswer['failed']): string {
  const { served = [], trashed = [] } = Object.groupBy(failed, ({ state }) =>
    state === 'trashed' ? 'trashed' : 'served',
  );
  const command = (rows: BroughtAnswer['failed'], more: string) =>
    rows.length === 0
      ? []
      : [`  fossilrepo restore ${rows.map(({ id }) => id).join(' ')} --at ${at.toISOString()}${more}`];
  return [
    'The others to the same instant, when what is said above is mended:',
    ...command(served, ''),
    ...command(trashed, ' --in-trash'),
  ].join('\n');
}

async function bringAll({ root }: GlobalOptions): Promise<BroughtAnswer> {
  const child = spawn(ownProgram, ['--root', root, '--json', 'bring-repositories'], {
    env: cleanEnvironment(),
    // Its standard input ends with this process, and it with that.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const said = await textOf(child.stdout);
  await ended;
  if (child.exitCode !== 0)
    throw new OperatorError('Not all of the server is back yet.', {
      next: 'Mend what is said above and run the same command again: it goes on from there.',
    });
  return broughtAnswer.parse(JSON.parse(said));
}

function noteOwnership({ server: { paths, config }, me, at, former }: Found): void {
  using store = openStore(paths, { create: false });
  noteBroughtBack(store, config.replica, me.generation);
  const missing = allRepositories(store).filter((row) => !existsSync(join(paths.data, placeOf(row))));
  noteBrought(store, { at: at?.toISOString() ?? null, missing: missing.map(({ id }) => id) });
  if (former.secrets) noteShown(store, former.secrets.recipient);
}

/** It has other host keys than when it started. */
async function restartSsh({ run, paths }: Server): Promise<void> {
  if (paths.root === '/')
    await run({ argv: ['systemctl', 'try-reload-or-restart', 'ssh.service'], accept: [1, 4, 5] });
}

const summary = ({ owner: { instance, hostname }, former: { window, repositories, later } }: Found) => ({
  instance,
  hostname,
  window,
  repositories,
  later,
});
