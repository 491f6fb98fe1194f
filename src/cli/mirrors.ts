import { type Command, Option } from 'commander';
import { hostKinds } from '../mirror/host-kinds.ts';
import { globals } from './globals.ts';
import { count, duration } from './numbers.ts';

/** `mirror …` and `sync`: Git remotes that follow repositories. */
export function mirrorCommands(program: Command): void {
  const mirror = program.command('mirror').description('Git remotes that follow a repository');
  settings(
    mirror
      .command('add <repository> <url>')
      .description('have a Git remote follow a repository; it is tried at once')
      .option('--name <name>', 'what the mirror is called; left out: the host’s name'),
  )
    .option('--token-stdin', 'with https://: the token comes on standard input; else it is asked for', false)
    .option('--create', 'make the repository there first, if it is missing', false)
    .option('--deploy-key', 'with SSH: a key is made for this mirror; goes without saying', false)
    .option('--yes', 'ask nothing; believe the host keys that the server shows now', false)
    .option('--dry-run', 'try it, show what would be pushed, and end', false)
    .action(async (repository: string, url: string, _options, command: Command) =>
      (await import('../commands/mirror-add.ts')).mirrorAdd(
        globals(command),
        repository,
        url,
        command.opts(),
      ),
    );
  mirror
    .command('list [repository]')
    .description('how each mirror stands')
    .action(async (repository: string | undefined, _options, command: Command) =>
      (await import('../commands/mirror-list.ts')).mirrorList(globals(command), repository),
    );
  mirror
    .command('show <repository> [name]')
    .description('one mirror: settings, refs, what was pushed lately')
    .action(async (repository: string, name: string | undefined, _options, command: Command) =>
      (await import('../commands/mirror-show.ts')).mirrorShow(globals(command), repository, name),
    );
  mirror
    .command('log [repository] [name]')
    .description('what was brought to mirrors, and what could not be: the newest first, for 90 days')
    .option('--since <time>', '2026-11-21T14:00, with or without zone, or an age: 12h, 30d', '7d')
    .action(async (repository: string | undefined, name: string | undefined, _options, command: Command) =>
      (await import('../commands/mirror-log.ts')).mirrorLog(
        globals(command),
        repository,
        name,
        command.opts(),
      ),
    );
  settings(
    mirror
      .command('configure <repository> [name]')
      .description('change a mirror; what failed is tried again')
      .option('--rename <name>', 'call it otherwise'),
  )
    .option('--token-stdin', 'another token, on standard input', false)
    .option('--deploy-key', 'make another deploy key', false)
    .option('--host-keys', 'read and pin the server’s host keys anew', false)
    .option('--yes', 'ask nothing; believe the host keys that the server shows now', false)
    .option('--dry-run', 'change nothing', false)
    .action(async (repository: string, name: string | undefined, _options, command: Command) =>
      (await import('../commands/mirror-configure.ts')).mirrorConfigure(
        globals(command),
        repository,
        name,
        command.opts(),
      ),
    );
  mirror
    .command('remove <repository> <name>')
    .description('end a mirror; what is there stays there')
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'change nothing', false)
    .action(async (repository: string, name: string, _options, command: Command) =>
      (await import('../commands/mirror-configure.ts')).mirrorRemove(
        globals(command),
        repository,
        name,
        command.opts(),
      ),
    );
  mirror
    .command('verify [repository...]')
    .description('compare every check-in, tree and file with Git, and the refs of each mirror')
    .addOption(
      new Option(
        '--sample <count>',
        'so many repositories, those not verified for the longest time, and 200 check-ins of each',
      ).argParser(count),
    )
    .action(async (names: string[], _options, command: Command) =>
      (await import('../commands/mirror-verify.ts')).mirrorVerify(globals(command), names, command.opts()),
    );
  program
    .command('sync [repository...]')
    .description('bring mirrors up to date: these, or all that are not')
    .option('--due', 'as the timer does: only those that it is time for', false)
    .option('--yes', 'ask nothing', false)
    .addOption(
      new Option(
        '--deadline <duration>',
        'what is not done then is ended, and goes on in the next run; left out: 24h, with --due 2h',
      ).argParser(duration),
    )
    .option('--dry-run', 'show what would be pushed, and end', false)
    .action(async (names: string[], _options, command: Command) =>
      (await import('../commands/sync.ts')).sync(globals(command), names, command.opts()),
    );
}

const settings = (command: Command): Command =>
  command
    .option('--main <branch>', 'what Fossil’s trunk is called there; left out: main')
    .option('--branches <patterns>', 'only these, by Fossil’s names, as release-*,trunk; left out: all')
    .addOption(
      new Option(
        '--on-divergence <policy>',
        'what is done about commits that others pushed there; left out: refuse',
      ).choices(['refuse', 'overwrite', 'keep']),
    )
    .option(
      '--schedule <duration>',
      'by when at the latest it is looked for news, never a delay: a push follows within a minute; left out: 15m',
    )
    .option('--user <login>', 'who the token belongs to; most hosts need none')
    .option('--tickets', 'tickets become issues there')
    .option('--no-tickets', 'tickets stay here')
    .addOption(
      new Option(
        '--wiki [place]',
        'the wiki goes there: to the host’s own repository for wikis, or a branch',
      ).choices(['repository', 'branch']),
    )
    .option('--no-wiki', 'the wiki stays here')
    .addOption(
      new Option(
        '--host-kind <kind>',
        'whose API it has, where its name doesn’t say; Forgejo is gitea',
      ).choices([...hostKinds]),
    )
    .option('--api <url>', 'where its API is, if elsewhere than usual')
    .option('--api-token-stdin', 'a token for the API alone comes on standard input', false);
