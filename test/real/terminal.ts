import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';

/** How long a question is waited for. Milliseconds. */
const patience = 60_000;

/** A person's terminal in which a command runs: a real pseudo-terminal, of util-linux's `script`. */
export type Terminal = ReturnType<typeof openTerminal>;

/** What keys send. */
export const keys = {
  enter: '\r',
  up: '\u001B[A',
  down: '\u001B[B',
  interrupt: '\u0003',
  eraseLine: '\u0015',
} as const;

/**
 * @param before what enters where the command is to run: another user, a guest; `[]` for here
 * @param command shell text
 */
export function openTerminal(
  before: readonly string[],
  command: string,
  where: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
) {
  // One of no size would break lines anywhere.
  const inside = `stty cols 200 rows 60; export TERM=xterm; exec ${command}`;
  const [file, ...args] = [...before, 'script', '-qec', inside, '/dev/null'];
  const child = spawn(file, args, { ...where, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let raw = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (raw += piece));
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (raw += piece));
  // The command may end before it has read everything.
  child.stdin.on('error', () => undefined);
  const screen = () => stripVTControlCharacters(raw);

  /** Waits until a text is on the screen that was not there at the last answer. */
  const sees = async (text: string): Promise<void> => {
    for (let waited = 0; !screen().includes(text, seen); waited += 20) {
      if (child.exitCode !== null || waited > patience)
        throw new Error(`“${text}” was not on the terminal:\n${screen()}`);
      await sleep(20);
    }
  };
  return {
    sees,
    /** Types when the question is there. */
    answers: async (question: string, ...typed: string[]): Promise<void> => {
      await sees(question);
      seen = screen().length;
      child.stdin.write(typed.join(''));
    },
    /** Waits for the end. */
    ended: async (): Promise<{ code: number | null; screen: string }> => {
      await closed;
      return { code: child.exitCode, screen: screen() };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}
