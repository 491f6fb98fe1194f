import chalk from 'chalk';
import { buildCli } from './cli.ts';
import { exitCodes, messageOf, OperatorError } from './errors.ts';

// The only catch: argv in, exit code out.
try {
  await buildCli().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (isNamed(error, 'CommanderError'))
    return 'exitCode' in error && error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (isNamed(error, 'ExitPromptError')) {
    process.stderr.write('Cancelled; nothing was changed.\n');
    return exitCodes.cancelled;
  }
  if (error instanceof OperatorError) {
    process.stderr.write(`${chalk.red('error:')} ${error.message}\n`);
    if (error.next !== undefined) process.stderr.write(`${chalk.dim('next:')}  ${error.next}\n`);
    return exitCodes[error.exit];
  }
  const detail = error instanceof Error ? error.stack : undefined;
  process.stderr.write(`${chalk.red('error:')} ${detail ?? messageOf(error)}\n`);
  process.stderr.write(
    `${chalk.dim('next:')}  This is a mistake in fossilrepo itself; please report it with the lines above.\n`,
  );
  return exitCodes.failed;
}

function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.constructor.name === name;
}
