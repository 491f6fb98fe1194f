import type { Command } from 'commander';
import { globals } from './globals.ts';

/** How an address is reached, and how often it is looked there. */
export const accessOptions = (command: Command): Command =>
  command
    .option('--token-stdin', 'the token or password comes on standard input', false)
    .option('--ssh-key <file>', 'with SSH: the private key to read it with')
    .option('--user <login>', 'who the token or password belongs to')
    .option('--schedule <duration>', 'how often news is looked for there; left out: 15m')
    .option('--yes', 'ask nothing; believe the host keys that the server shows now', false);

/** `upstream …`: Fossil and Git repositories that hosted ones follow. */
export function upstreamCommands(upstream: Command): void {
  accessOptions(
    upstream
      .command('set <repository> <url>')
      .description('have a repository follow a Fossil or Git address; it is tried at once'),
  )
    .option('--dry-run', 'find out what it is, and end', false)
    .action(async (repository: string, url: string, _options, command: Command) =>
      (await import('../commands/upstream-set.ts')).upstreamSet(
        globals(command),
        repository,
        url,
        command.opts(),
      ),
    );
  upstream
    .command('show <repository>')
    .description('what a repository follows, what came last, and what is wrong')
    .action(async (repository: string, _options, command: Command) =>
      (await import('../commands/upstream-show.ts')).upstreamShow(globals(command), repository),
    );
  upstream
    .command('pull <repository>')
    .description('take what is new now')
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'change nothing', false)
    .action(async (repository: string, _options, command: Command) =>
      (await import('../commands/upstream-pull.ts')).upstreamPull(
        globals(command),
        repository,
        command.opts(),
      ),
    );
  upstream
    .command('accept <repository>')
    .description('take a history that was rewritten there beside the one that came before')
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'change nothing', false)
    .action(async (repository: string, _options, command: Command) =>
      (await import('../commands/upstream-pull.ts')).upstreamAccept(
        globals(command),
        repository,
        command.opts(),
      ),
    );
  upstream
    .command('remove <repository>')
    .description('follow it no more; what came stays')
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'change nothing', false)
    .action(async (repository: string, _options, command: Command) =>
      (await import('../commands/upstream-set.ts')).upstreamRemove(
        globals(command),
        repository,
        command.opts(),
      ),
    );
}
