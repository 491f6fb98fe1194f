import { type Command, InvalidArgumentError, Option } from 'commander';
import { amazon } from '../backup/inventory/prices.ts';
import { globals } from './globals.ts';
import { count } from './numbers.ts';

/** `backup …`: the replica, looked at and tried. */
export function backupCommands(backup: Command): void {
  backup
    .command('status')
    .description("each repository's replication age, recovery window and last verification")
    .action(async (_options, command: Command) =>
      (await import('../commands/backup-status.ts')).backupStatus(globals(command)),
    );
  backup
    .command('now [repository...]')
    .description('return when all so far is in the replica')
    .action(async (names: string[], _options, command: Command) =>
      (await import('../commands/backup-now.ts')).backupNow(globals(command), names),
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
      (await import('../commands/backup-verify.ts')).backupVerify(globals(command), names, command.opts()),
    );
  backup
    .command('list <repository>')
    .description('what the replica holds of a repository, by name or id, and what that costs')
    .option('--price-gb <dollars>', 'a gigabyte for a month', price, amazon.gb)
    .option('--price-put <dollars>', 'a thousand PUT requests', price, amazon.put)
    .option('--price-list <dollars>', 'a thousand LIST requests', price, amazon.list)
    .action(async (name: string, _options, command: Command) =>
      (await import('../commands/backup-list.ts')).backupList(globals(command), name, command.opts()),
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
      (await import('../commands/recovery-key.ts')).recoveryKey(globals(command), command.opts()),
    );
}

/** `restore`. */
export function restoreCommand(program: Command): void {
  program
    .command('restore [repository...]')
    .description('bring repositories back to a moment, or take the last restore back')
    .option('--at <time>', '2026-11-21T14:00, with or without zone, or an age: 15m, 2h, 3d')
    .option('--all', 'every repository', false)
    .option('--undo', 'take the last restore back', false)
    .option('--redo', 'bring what the last restore had brought again, after an undo', false)
    .option('--into <folder>', 'only write the files, into this folder')
    .option('--shun', 'keep clients from bringing back what is lost', false)
    .option('--in-trash', 'leave a deleted repository in the trash', false)
    .option('--as <name>', 'the name of a deleted repository in service')
    .option('--yes', 'ask nothing', false)
    .option(
      '--dry-run',
      'fetch, check, show what would change, and end; with --into show what would be written',
      false,
    )
    .action(async (names: string[], _options, command: Command) =>
      (await import('../commands/restore.ts')).restore(globals(command), names, command.opts()),
    );
}

function price(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a price in US dollars: 0.023');
  return Number(text);
}
