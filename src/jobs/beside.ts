import { type ChildProcess, spawn } from 'node:child_process';
import { ownProgram } from '../config/paths.ts';

/** One of our commands in a process of its own, with the lowest claim on the processor; one at a time. */
export type Beside = {
  isRunning: () => boolean;
  begin: (...command: string[]) => void;
  stop: () => void;
};

/** @param title what the log calls it; what the command says goes there when it has ended */
export function beside(root: string, title: string, log: (text: string) => void): Beside {
  let child: ChildProcess | undefined;
  return {
    isRunning: () => child !== undefined,
    begin: (...command) => {
      // It needs what we have in the environment: the secrets' folder, the compiled modules. (`setpriv` doesn't start in the hardened unit.)
      const started = spawn('nice', ['-n', '19', ownProgram, '--root', root, ...command], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      let said = '';
      let talk = '';
      started.stdout.setEncoding('utf8').on('data', (piece: string) => (said += piece));
      started.stderr.setEncoding('utf8').on('data', (piece: string) => (talk += piece));
      started.on('error', (error) => {
        child = undefined;
        log(`${title} can't be begun: ${error.message}`);
      });
      started.on('close', () => {
        child = undefined;
        log(`${title}: ${(said || talk || 'it ended without a word').trim()}`);
      });
    },
    stop: () => {
      child?.kill();
      // Nobody waits for its end.
      child?.unref();
      for (const pipe of [child?.stdout, child?.stderr]) pipe?.destroy();
    },
  };
}
