import { existsSync, readdirSync } from 'node:fs';
import { applySteps } from '../apply/apply.ts';
import { readRecord } from '../apply/record.ts';
import { answeredConfig } from '../config/answers.ts';
import { OperatorError } from '../errors.ts';
import { describePlan } from '../plan/describe.ts';
import { planRemoval, type RemovalFound } from '../plan/removal.ts';
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
  const server = existsSync(paths.config)
    ? openServer(options)
    : serverWith(answeredConfig(undefined, {}), options);
  const steps = planRemoval(paths, await look(server), flags.purge, replicaToRemove(server));
  if (flags.dryRun) {
    showPlan(server, steps);
    return;
  }
  if (!flags.yes) {
    server.out.say(describePlan(steps));
    if (flags.purge) await typed(server.config.domain, 'destroy all repositories of this server');
    else await typed('yes', 'remove fossilrepo');
  }
  // Without the lock: its folder is one of the things that go.
  await applySteps(steps, server);
  const kept = flags.purge && replicaToRemove(server) === undefined;
  server.out.result(
    { removed: steps.length },
    flags.purge
      ? `All is gone${kept ? ` but the replica. With the recovery key it brings the server back: fossilrepo install --from ${server.config.replica.url}` : ''}.`
      : `Removed. Data is still in ${[paths.data, paths.state, paths.configFolder].filter((path) => existsSync(path)).join(', ')}, the replica at ${server.config.replica.url}: a later install goes on with them.`,
  );
}

/** Only the folder that install made by itself: one that the operator named is theirs. */
function replicaToRemove({ config, paths }: Server): string | undefined {
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
