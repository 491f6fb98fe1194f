import { Command } from 'commander';
import { backupCommands, restoreCommand } from './cli/backup.ts';
import { globals } from './cli/globals.ts';
import { mirrorCommands } from './cli/mirrors.ts';
import { repositoryCommands } from './cli/repositories.ts';
import { serverCommands } from './cli/server.ts';
import { upstreamCommands } from './cli/upstream.ts';
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
  upstreamCommands(program.command('upstream').description('what a repository takes from elsewhere'));
  program
    .command('user')
    .description('people')
    .command('token <login>')
    .description("show a person's access token, which is the password for clone and push")
    .option('--rotate', 'replace it everywhere', false)
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'with --rotate: show the plan and end', false)
    .action(async (login: string, _options, command: Command) =>
      (await import('./commands/user-token.ts')).userToken(globals(command), login, command.opts()),
    );
  backupCommands(program.command('backup').description('the replica'));
  restoreCommand(program);
  mirrorCommands(program);
  return program;
}
