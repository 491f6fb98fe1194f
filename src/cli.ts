import { Command, InvalidArgumentError, Option } from 'commander';
import { amazon } from './backup/inventory/prices.ts';
import type { GlobalOptions } from './server.ts';
import { ownVersion } from './system/version.ts';

/** The command tree. A command's file is loaded when the command is used: that keeps `--version` quick. */
export function buildCli(): Command {
  const program = new Command('fossilrepo')
    .description('Turns a bare Linux server into a Fossil forge and keeps it alive.')
    .version(ownVersion)
    .option('--root <folder>', 'a whole server below a folder', '/')
    .option('--json', 'results as JSON on standard output', false)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .showHelpAfterError('(fossilrepo --help lists the commands)');

  serverCommands(program);
  repositoryCommands(program.command('repo').description('repositories'));
  program
    .command('user')
    .description('people')
    .command('token <login>')
    .description("show a person's access token, which is the password for clone and push")
    .option('--rotate', 'replace it everywhere')
    .action(async (login: string, options: { rotate?: boolean }, command: Command) =>
      (await import('./commands/user-token.ts')).userToken(globals(command), login, options),
    );
  const backup = program.command('backup').description('the replica');
  backup
    .command('status')
    .description("each repository's replication age and recovery window")
    .action(async (_options, command: Command) =>
      (await import('./commands/backup-status.ts')).backupStatus(globals(command)),
    );
  backup
    .command('now [repository...]')
    .description('return when all so far is in the replica')
    .action(async (names: string[], _options, command: Command) =>
      (await import('./commands/backup-now.ts')).backupNow(globals(command), names),
    );
  backup
    .command('verify [repository...]')
    .description('restore from the replica aside, and compare with what is in service')
    .addOption(
      new Option(
        '--sample <count>',
        'those not verified for the longest time, and those that failed last time',
      ).argParser(count),
    )
    .action(async (names: string[], _options, command: Command) =>
      (await import('./commands/backup-verify.ts')).backupVerify(globals(command), names, command.opts()),
    );
  backup
    .command('list <repository>')
    .description('what the replica holds of a repository, by name or id, and what that costs')
    .option('--price-gb <dollars>', 'a gigabyte for a month', price, amazon.gb)
    .option('--price-put <dollars>', 'a thousand PUT requests', price, amazon.put)
    .option('--price-list <dollars>', 'a thousand LIST requests', price, amazon.list)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/backup-list.ts')).backupList(globals(command), name, command.opts()),
    );
  backup
    .command('recovery-key')
    .description("what this server's secrets in the replica are encrypted to")
    .option(
      '--rotate',
      'make another recovery key, show it once, and delete what the former one opens',
      false,
    )
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'show the plan and end', false)
    .action(async (_options, command: Command) =>
      (await import('./commands/recovery-key.ts')).recoveryKey(globals(command), command.opts()),
    );
  program
    .command('restore [repository...]')
    .description('bring repositories back to a moment, or take the last restore back')
    .option('--at <time>', '2026-11-21T14:00, with or without zone, or an age: 15m, 2h, 3d')
    .option('--all', 'every repository', false)
    .option('--undo', 'take the last restore back', false)
    .option('--into <folder>', 'only write the files, into this folder')
    .option('--shun', 'keep clients from bringing back what is lost', false)
    .option('--in-trash', 'leave a deleted repository in the trash', false)
    .option('--as <name>', 'the name of a deleted repository in service')
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'fetch, check, show what would change, and end', false)
    .action(async (names: string[], _options, command: Command) =>
      (await import('./commands/restore.ts')).restore(globals(command), names, command.opts()),
    );
  return program;
}

function serverCommands(program: Command): void {
  program
    .command('install')
    .description('make this machine a forge, or change the answers given before')
    .option('--domain <domain>', 'where the forge answers')
    .option('--email <address>', 'where the certificate authority writes')
    .addOption(new Option('--tls <mode>', 'certificates').choices(['auto', 'internal', 'off']))
    .option('--replica <url>', 'where every commit goes: s3://BUCKET/PREFIX or file:///FOLDER')
    .option('--endpoint <url>', 'S3-compatible storage that is not Amazon’s')
    .option('--region <region>', 'S3 region')
    .option(
      '--storage-keys <file>',
      'file with the storage keys, as in ~/.aws/credentials; - for standard input',
    )
    .option('--from <url>', 'bring a server that is gone back from its replica')
    .option('--at <time>', 'with --from: as it was then; left out: the newest state')
    .option('--recovery-key <file>', 'with --from: file with the recovery key; - for standard input')
    .option('--without-secrets', 'with --from: when the recovery key is lost; all get new tokens', false)
    .option('--takeover', 'with --from: even if that server still runs; it stops writing', false)
    .option('--fresh-replica', 'the replica was emptied on purpose: write all of it anew', false)
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'show the plan and end', false)
    .action(async (_options, command: Command) =>
      (await import('./commands/install.ts')).install(globals(command), command.opts()),
    );
  program
    .command('up')
    .description('the whole server in the foreground, without systemd')
    .action(async (_options, command: Command) => (await import('./commands/up.ts')).up(globals(command)));
  program
    .command('diff')
    .description('what apply would change')
    .action(async (_options, command: Command) =>
      (await import('./commands/apply.ts')).diff(globals(command)),
    );
  program
    .command('apply')
    .description('make the server what fossilrepo.yaml says')
    .option('--dry-run', 'show the plan and end', false)
    .option('--yes', 'ask nothing', false)
    .action(async (_options, command: Command) =>
      (await import('./commands/apply.ts')).apply(globals(command), command.opts()),
    );
  program
    .command('uninstall')
    .description('remove fossilrepo; data stays unless --purge')
    .option('--purge', 'take the data, the users and the packages that install.sh added, too', false)
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'show the plan and end', false)
    .action(async (_options, command: Command) =>
      (await import('./commands/uninstall.ts')).uninstall(globals(command), command.opts()),
    );
  program
    .command('status')
    .description('whether one may sleep')
    .action(async (_options, command: Command) =>
      (await import('./commands/status.ts')).status(globals(command)),
    );
  program
    .command('logs [part]')
    .description('what the parts say')
    .option('-f, --follow', 'go on', false)
    .option('-n, --lines <count>', 'how many', '100')
    .action(async (part: string | undefined, _options, command: Command) =>
      (await import('./commands/logs.ts')).logs(globals(command), part, command.opts()),
    );
  for (const verb of ['start', 'stop', 'restart'] as const)
    program
      .command(`${verb} [part]`)
      .description(`${verb} the server or one part`)
      .action(async (part: string | undefined, _options, command: Command) =>
        (await import('./commands/parts.ts')).changeParts(globals(command), verb, part),
      );
  program
    .command('serve', { hidden: true })
    .description('the management part: pages, health, the loop')
    .action(async (_options, command: Command) =>
      (await import('./commands/serve.ts')).serve(globals(command)),
    );
  program
    .command('prove', { hidden: true })
    .description('clone, push and look for it in the replica; then say where the server is')
    .action(async (_options, command: Command) =>
      (await import('./commands/prove.ts')).prove(globals(command)),
    );
  program
    .command('bring-repositories', { hidden: true })
    .description('the part of install --from that needs no root')
    .action(async (_options, command: Command) =>
      (await import('./commands/bring-repositories.ts')).bringRepositories(globals(command)),
    );
  program
    .command('judge-replica', { hidden: true })
    .description('ask the replica whose it is, before Litestream starts')
    .action(async (_options, command: Command) =>
      (await import('./commands/judge-replica.ts')).judgeReplica(globals(command)),
    );
  program
    .command('take-ownership', { hidden: true })
    .description('the root one-shot: give dropped-in files to the right owner')
    .action(async (_options, command: Command) =>
      (await import('./commands/take-ownership.ts')).takeOwnership(globals(command)),
    );
  program
    .command('seal-bundle', { hidden: true })
    .description('the root one-shot: seal what is secret here for the replica, if it has changed')
    .action(async (_options, command: Command) =>
      (await import('./commands/seal-bundle.ts')).sealBundleCommand(globals(command)),
    );
}

function repositoryCommands(repo: Command): void {
  const visibility = () =>
    new Option('--visibility <visibility>', 'who may read').choices(['public', 'internal', 'private']);
  const dryRun = ['--dry-run', 'show the plan and end', false] as const;
  repo
    .command('create <name>')
    .description('make a repository, empty or from another')
    .addOption(visibility())
    .option('--description <text>', 'what it is about')
    .option('--from <source>', 'a Fossil URL or a .fossil file')
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-create.ts')).repoCreate(globals(command), name, command.opts()),
    );
  repo
    .command('list')
    .description('all repositories')
    .option('--trash', 'the deleted ones', false)
    .action(async (_options, command: Command) =>
      (await import('./commands/repo-list.ts')).repoList(globals(command), command.opts()),
    );
  repo
    .command('show <name>')
    .description('one repository')
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-show.ts')).repoShow(globals(command), name),
    );
  repo
    .command('configure <name>')
    .description('change visibility or description')
    .addOption(visibility())
    .option('--description <text>', 'what it is about')
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-change.ts')).repoConfigure(globals(command), name, command.opts()),
    );
  repo
    .command('rename <name> <new-name>')
    .description('give a repository another name; its history in the replica goes on')
    .option(...dryRun)
    .action(async (name: string, newName: string, _options, command: Command) =>
      (await import('./commands/repo-change.ts')).repoRename(globals(command), name, newName, command.opts()),
    );
  for (const verb of ['archive', 'unarchive'] as const)
    repo
      .command(`${verb} <name>`)
      .description(
        verb === 'archive' ? 'make a repository read-only for everybody' : 'make it writable again',
      )
      .option(...dryRun)
      .action(async (name: string, _options, command: Command) =>
        (await import('./commands/repo-change.ts')).repoArchive(
          globals(command),
          name,
          verb === 'archive',
          command.opts(),
        ),
      );
  repo
    .command('delete <name>')
    .description('put a repository into the trash')
    .option('--yes', 'ask nothing', false)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-change.ts')).repoDelete(globals(command), name, command.opts()),
    );
  repo
    .command('undelete <name>')
    .description('take a repository, by name or id, out of the trash')
    .option('--as <name>', 'under another name')
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-change.ts')).repoUndelete(globals(command), name, command.opts()),
    );
  repo
    .command('purge <name>')
    .description('destroy a repository in the trash, its history in the replica too')
    .option('--yes', 'ask nothing', false)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-change.ts')).repoPurge(globals(command), name, command.opts()),
    );
  repo
    .command('maintain <name>')
    .description('rebuild and compact a repository; it is closed meanwhile')
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('./commands/repo-maintain.ts')).repoMaintain(globals(command), name, command.opts()),
    );
  repo
    .command('verify [name...]')
    .description("check every artifact's hash")
    .action(async (names: string[], _options, command: Command) =>
      (await import('./commands/repo-verify.ts')).repoVerify(globals(command), names),
    );
}

const globals = (command: Command): GlobalOptions => command.optsWithGlobals();

function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(text);
}

function price(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a price in US dollars: 0.023');
  return Number(text);
}
