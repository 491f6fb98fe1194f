import chalk from 'chalk';
import { messageOf, OperatorError } from '../errors.ts';

/** A terminal's size, in characters. */
export type Screen = { columns: number; rows: number };

/**
 * All that a person or a script sees. Results go to standard output, talk to standard error, so that
 * `fossilrepo … --json | jq` and `… > file` get results and nothing else.
 */
export type Output = {
  json: boolean;
  /** Whether a person watches standard error: progress is drawn only then. */
  live: boolean;
  /** Where results are read, when that is a terminal. */
  screen: Screen | undefined;
  /** The command's result: `data` with `--json`, else `text` (nothing when it is empty). */
  result: (data: unknown, text: string) => void;
  /** One line of talk. */
  say: (text: string) => void;
  /** One line that must not be overlooked. */
  warn: (text: string) => void;
};

/** The terminal's output. */
export function terminal(json: boolean): Output {
  return {
    json,
    live: process.stderr.isTTY,
    screen: screenOf(process.stdout),
    result: (data, text) => {
      if (json) process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
      else if (text !== '') process.stdout.write(`${text.replace(/\n$/, '')}\n`);
    },
    say: (text) => {
      process.stderr.write(`${text}\n`);
    },
    warn: (text) => {
      process.stderr.write(`${chalk.yellow('!')} ${text}\n`);
    },
  };
}

/** A terminal whose size nobody told says 0. */
const screenOf = ({ isTTY, columns, rows }: typeof process.stdout): Screen | undefined =>
  isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined;

/**
 * Resolves when all results have left this process: what is shown once may count as shown only then.
 * @throws OperatorError when nobody reads them any more, or the disk that they go to is full
 */
export function untilWritten(): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) =>
      reject(
        new OperatorError(`The result could not be shown: ${messageOf(error)}.`, {
          next: 'Run the command again.',
        }),
      );
    process.stdout.once('error', failed);
    process.stdout.write('', (error) => {
      if (error) failed(error);
      else resolve();
    });
  });
}
