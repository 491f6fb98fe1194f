import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { applySteps } from '../apply/apply.ts';
import { readRecord } from '../apply/record.ts';
import { litestreamControl } from '../backup/control.ts';
import { replicaPlace } from '../backup/location.ts';
import { unsent } from '../backup/unsent.ts';
import { answeredConfig } from '../config/answers.ts';
import { OperatorError } from '../errors.ts';
import { describePlan } from '../plan/describe.ts';
import { planRemoval, type RemovalFound } from '../plan/removal.ts';
import { describeRemains, remainsAfter, type ReplicaNamed } from '../plan/remains.ts';
import { readPurged, simulatePurge } from '../programs/apt.ts';
import { readUp } from '../stack/foreground.ts';
import { type GlobalOptions, openServer, type Server, serverWith } from '../server.ts';
import { pathsUnder } from '../config/paths.ts';
import { readIfThere } from '../system/files.ts';
import { requireOwner } from '../system/identity.ts';
import { showPlan } from './plan-and-apply.ts';
import { typed } from './questions.ts';

type Flags = { purge: boolean; yes: boolean; dryRun: boolean };

/** `fossilrepo uninstall`: all that install made, data excepted; with `--purge` data, users and packages, too. */
export async function uninstall(options: GlobalOptions, flags: Flags): Promise<void> {
  const paths = pathsUnder(options.root);
  requireOwner(paths);
  if (readUp(paths) !== undefined)
    throw new OperatorError('fossilrepo up is running.', { next: 'End it with Ctrl-C first.', exit: 'busy' });
  // A second run after a killed one may find no configuration any more.
  const described = existsSync(paths.config);
  const server = described ? openServer(options) : serverWith(answeredConfig(undefined, {}), options);
  const named = described ? replicaNamed(server) : undefined;
  const found = await look(server);
  const steps = planRemoval(paths, found, flags.purge, replicaToRemove(server, described));
  const remains = remainsAfter(steps, paths, named, { ...found, exists: existsSync, real });
  const missing = remains.replica.is === 'kept' ? await unsent(litestreamControl(paths), paths) : [];
  const kept = [
    describeRemains(remains, named, {
      purge: flags.purge,
      // A server of the machine's takes the program along.
      install: paths.root === '/' ? 'sudo ./install.sh' : `fossilrepo --root ${paths.root} install`,
    }),
    ...describeUnsent(missing),
  ].join('\n');
  if (flags.dryRun) {
    showPlan(server, steps, { data: { remains }, text: kept });
    return;
  }
  if (flags.purge && flags.yes && missing !== undefined && missing.length > 0)
    throw new OperatorError(`Nothing was removed. ${describeUnsent(missing).join('\n')}`, {
      next: 'See fossilrepo backup now and backup status. To destroy it all the same, leave out --yes.',
      exit: 'check',
    });
  if (!flags.yes) {
    server.out.say(`${describePlan(steps)}\n${kept}`);
    if (flags.purge) await typed(server.config.domain, 'destroy all repositories of this server');
    else await typed('yes', 'remove fossilrepo');
  }
  // Without the lock: its folder is one of the things that go.
  await applySteps(steps, server);
  const gone = remains.replica.is === 'removed' && remains.folders.length === 0;
  server.out.result(
    { removed: steps.length, remains },
    gone ? 'All is gone.' : `${flags.purge ? 'All else of fossilrepo is gone' : 'Removed'}.\n${kept}`,
  );
}

function describeUnsent(missing: readonly string[] | undefined): string[] {
  if (missing === undefined)
    return ['Litestream does not run: whether all of it is in the replica can not be asked.'];
  if (missing.length === 0) return [];
  const [first = '', ...others] = missing;
  const and = others.length === 0 ? '' : ` and of ${others.length} more`;
  return [
    `What was written last is not in the replica, of ${first}${and}: the replica does not bring that back.`,
  ];
}

function replicaNamed({ config }: Server): ReplicaNamed {
  const { url, endpoint, region } = config.replica;
  const place = replicaPlace(config.replica);
  if (place.kind === 's3') return { url, endpoint, region, folder: undefined };
  return { url, folder: place.folder, endpoint: undefined, region: undefined };
}

const real = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

/**
 * Only the folder that install made by itself: one that the operator named is theirs. While fossilrepo.yaml is not there, as before a
 * killed install had written it, only an empty one.
 */
function replicaToRemove({ config, paths }: Server, described: boolean): string | undefined {
  if (!described)
    return existsSync(paths.replica) && readdirSync(paths.replica).length === 0 ? paths.replica : undefined;
  return config.replica.url === `file://${paths.replica}` ? paths.replica : undefined;
}

async function look({ paths, supervisor, run }: Server): Promise<RemovalFound> {
  const states = await supervisor.states();
  const record = readRecord(paths);
  const packages = await packagesOf(paths, run);
  return {
    // The data folder is taken only when install made it and nothing else is in it.
    exists: (path) =>
      existsSync(path) &&
      (path !== paths.data ||
        (record.folders.includes(path) &&
          readdirSync(path).every((name) => ['repos', 'routes', 'work'].includes(name)))),
    running: supervisor.kind === 'systemd' && [...states.values()].includes('running'),
    users: record.users,
    groups: record.groups,
    packages: packages.removable,
    packageGroups: packages.removable.length === packages.added.length ? listed(paths.groupsAdded) : [],
  };
}

/** The packages that install.sh added, and of them those that nothing else needs by now. */
async function packagesOf(
  paths: Server['paths'],
  run: Server['run'],
): Promise<{ added: string[]; removable: string[] }> {
  const added = listed(paths.packagesAdded);
  if (added.length === 0) return { added, removable: [] };
  const plain = (name: string) => name.replace(/:.*/, '');
  const mine = new Set(added.map(plain));
  const free = async (names: string[]) => {
    const { stdout, code } = await run({ ...simulatePurge(names), accept: [100] });
    return code === 0 && readPurged(stdout).every((name) => mine.has(plain(name)));
  };
  if (await free(added)) return { added, removable: added };
  const removable = [];
  for (const name of added) if (await free([name])) removable.push(name);
  return { added, removable };
}

const listed = (file: string) => (readIfThere(file) ?? '').split('\n').filter((line) => line !== '');
