import { type ChildProcess, spawn } from 'node:child_process';
import { dailyCount, isDue } from '../backup/verify/sample.ts';
import { ownProgram } from '../config/paths.ts';
import type { Forge } from '../forge.ts';
import { listRepositories } from '../store/repositories.ts';
import { lastRound, lastVerifications, noteRound } from '../store/verifications.ts';

export type DailyVerification = {
  /** Begins today's round if it is time. */
  check: () => void;
  stop: () => void;
};

/**
 * Verifies some repositories a day, each about once a week: in a process of its own, since comparing takes seconds in which nothing else
 * would be done, and with the lowest claim on the processor.
 * @param ours whether the replica may be asked
 */
export function verifyDaily(
  forge: Forge,
  ours: () => boolean,
  log: (text: string) => void,
): DailyVerification {
  const { store, paths, instance } = forge;
  let child: ChildProcess | undefined;

  const begin = (now: number): void => {
    const ids = listRepositories(store)
      .filter(({ state }) => state === 'active')
      .map(({ id }) => id);
    const answered = new Map([...lastVerifications(store)].map(([id, { at }]) => [id, at]));
    const sample = dailyCount(ids, answered, now);
    // At its beginning: a round that ends the server is not begun again and again.
    noteRound(store, now);
    const ended = spawn('nice', argvOf(paths.root, sample), { stdio: ['ignore', 'pipe', 'pipe'] });
    child = ended;
    let said = '';
    let talk = '';
    ended.stdout.setEncoding('utf8').on('data', (piece: string) => (said += piece));
    ended.stderr.setEncoding('utf8').on('data', (piece: string) => (talk += piece));
    ended.on('error', (error) => {
      child = undefined;
      log(`verification can't be begun: ${error.message}`);
    });
    ended.on('close', () => {
      child = undefined;
      log(`daily verification: ${(said || talk || 'it ended without a word').trim()}`);
    });
  };

  return {
    check: () => {
      const now = Date.now();
      const last = lastRound(store);
      if (last === undefined) noteRound(store, now);
      else if (child === undefined && ours() && isDue(instance, last, now)) begin(now);
    },
    stop: () => {
      child?.kill();
      // Nobody waits for its end.
      child?.unref();
      for (const pipe of [child?.stdout, child?.stderr]) pipe?.destroy();
    },
  };
}

/** It needs what we have in the environment: the secrets' folder, the compiled modules. (`setpriv` doesn't start in the hardened unit.) */
const argvOf = (root: string, sample: number): string[] => [
  ...['-n', '19', ownProgram, '--root', root],
  ...['backup', 'verify', '--sample', String(sample)],
];
