import { type Command, Option } from 'commander';
import { globals } from './globals.ts';

/** Install, run and look at the server. */
export function serverCommands(program: Command): void {
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
      (await import('../commands/install.ts')).install(globals(command), command.opts()),
    );
  program
    .command('up')
    .description('the whole server in the foreground, without systemd')
    .action(async (_options, command: Command) => (await import('../commands/up.ts')).up(globals(command)));
  program
    .command('diff')
    .description('what apply would change')
    .action(async (_options, command: Command) =>
      (await import('../commands/apply.ts')).diff(globals(command)),
    );
  program
    .command('apply')
    .description('make the server what fossilrepo.yaml says')
    .option('--dry-run', 'show the plan and end', false)
    .option('--yes', 'ask nothing', false)
    .action(async (_options, command: Command) =>
      (await import('../commands/apply.ts')).apply(globals(command), command.opts()),
    );
  program
    .command('uninstall')
    .description('remove fossilrepo; data stays unless --purge')
    .option('--purge', 'take the data, the users and the packages that install.sh added, too', false)
    .option('--yes', 'ask nothing', false)
    .option('--dry-run', 'show the plan and end', false)
    .action(async (_options, command: Command) =>
      (await import('../commands/uninstall.ts')).uninstall(globals(command), command.opts()),
    );
  program
    .command('status')
    .description('whether one may sleep')
    .action(async (_options, command: Command) =>
      (await import('../commands/status.ts')).status(globals(command)),
    );
  program
    .command('logs [part]')
    .description('what the parts say; of sync: what mirrors did')
    .option('-f, --follow', 'go on', false)
    .option('-n, --lines <count>', 'how many', '100')
    .action(async (part: string | undefined, _options, command: Command) =>
      (await import('../commands/logs.ts')).logs(globals(command), part, command.opts()),
    );
  for (const verb of ['start', 'stop', 'restart'] as const)
    program
      .command(`${verb} [part]`)
      .description(`${verb} the server or one part`)
      .option('--yes', 'ask nothing', false)
      .option('--dry-run', 'show the plan and end', false)
      .action(async (part: string | undefined, _options, command: Command) =>
        (await import('../commands/parts.ts')).changeParts(globals(command), verb, part, command.opts()),
      );
  program
    .command('serve', { hidden: true })
    .description('the management part: pages, health, the loop')
    .action(async (_options, command: Command) =>
      (await import('../commands/serve.ts')).serve(globals(command)),
    );
  program
    .command('prove', { hidden: true })
    .description('clone, push and look for it in the replica; then say where the server is')
    .action(async (_options, command: Command) =>
      (await import('../commands/prove.ts')).prove(globals(command)),
    );
  program
    .command('bring-repositories', { hidden: true })
    .description('the part of install --from that needs no root')
    .action(async (_options, command: Command) =>
      (await import('../commands/bring-repositories.ts')).bringRepositories(globals(command)),
    );
  program
    .command('judge-replica', { hidden: true })
    .description('ask the replica whose it is, before Litestream starts')
    .action(async (_options, command: Command) =>
      (await import('../commands/judge-replica.ts')).judgeReplica(globals(command)),
    );
  program
    .command('take-ownership', { hidden: true })
    .description('the root one-shot: give dropped-in files to the right owner')
    .action(async (_options, command: Command) =>
      (await import('../commands/take-ownership.ts')).takeOwnership(globals(command)),
    );
  program
    .command('seal-bundle', { hidden: true })
    .description('the root one-shot: seal what is secret here for the replica, if it has changed')
    .action(async (_options, command: Command) =>
      (await import('../commands/seal-bundle.ts')).sealBundleCommand(globals(command)),
    );
}
