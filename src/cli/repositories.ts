import { type Command, Option } from 'commander';
import { globals } from './globals.ts';
import { accessOptions } from './upstream.ts';

/** `repo …`: a repository's life. */
export function repositoryCommands(repo: Command): void {
  const visibility = () =>
    new Option('--visibility <visibility>', 'who may read').choices(['public', 'internal', 'private']);
  const yes = ['--yes', 'ask nothing', false] as const;
  const dryRun = ['--dry-run', 'show the plan and end', false] as const;
  accessOptions(
    repo
      .command('create <name>')
      .description('make a repository, empty or from another')
      .addOption(visibility())
      .option('--description <text>', 'what it is about')
      .option('--from <source>', 'a Fossil or Git address, a .fossil file, or the folder of a Git repository')
      .option('--follow', 'take what is new there from now on; goes without saying for Git')
      .option('--no-follow', 'import it once'),
  )
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-create.ts')).repoCreate(globals(command), name, command.opts()),
    );
  repo
    .command('list')
    .description('all repositories')
    .option('--trash', 'the deleted ones', false)
    .action(async (_options, command: Command) =>
      (await import('../commands/repo-list.ts')).repoList(globals(command), command.opts()),
    );
  repo
    .command('show <name>')
    .description('one repository')
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-show.ts')).repoShow(globals(command), name),
    );
  repo
    .command('configure <name>')
    .description('change visibility or description')
    .addOption(visibility())
    .option('--description <text>', 'what it is about')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-change.ts')).repoConfigure(globals(command), name, command.opts()),
    );
  repo
    .command('rename <name> <new-name>')
    .description('give a repository another name; its history in the replica goes on')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, newName: string, _options, command: Command) =>
      (await import('../commands/repo-change.ts')).repoRename(
        globals(command),
        name,
        newName,
        command.opts(),
      ),
    );
  for (const verb of ['archive', 'unarchive'] as const)
    repo
      .command(`${verb} <name>`)
      .description(
        verb === 'archive' ? 'make a repository read-only for everybody' : 'make it writable again',
      )
      .option(...yes)
      .option(...dryRun)
      .action(async (name: string, _options, command: Command) =>
        (await import('../commands/repo-change.ts')).repoArchive(
          globals(command),
          name,
          verb === 'archive',
          command.opts(),
        ),
      );
  repo
    .command('delete <name>')
    .description('put a repository into the trash')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-change.ts')).repoDelete(globals(command), name, command.opts()),
    );
  repo
    .command('undelete <name>')
    .description('take a repository, by name or id, out of the trash')
    .option('--as <name>', 'under another name')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-change.ts')).repoUndelete(globals(command), name, command.opts()),
    );
  repo
    .command('purge <name>')
    .description('destroy a repository in the trash, its history in the replica too')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-change.ts')).repoPurge(globals(command), name, command.opts()),
    );
  repo
    .command('maintain <name>')
    .description('rebuild and compact a repository; it is closed meanwhile')
    .option(...yes)
    .option(...dryRun)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/repo-maintain.ts')).repoMaintain(globals(command), name, command.opts()),
    );
  repo
    .command('verify [name...]')
    .description("check every artifact's hash")
    .action(async (names: string[], _options, command: Command) =>
      (await import('../commands/repo-verify.ts')).repoVerify(globals(command), names),
    );
}
