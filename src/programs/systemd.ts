import type { Command } from '../system/run.ts';

/** Asks for the state of units, one block a unit, in the order asked. */
export const showUnits = (units: readonly string[]): Command => ({
  argv: ['systemctl', 'show', '--property=Id,ActiveState,SubState,UnitFileState,NRestarts,MainPID', ...units],
});

export type UnitState = { active: string; sub: string; enabled: boolean; restarts: number; pid: number };

/** Reads what `showUnits` printed: unit name → state. */
export function readUnits(stdout: string): Map<string, UnitState> {
  const blocks = stdout.split(/\n\s*\n/).map((block) =>
    Object.fromEntries(
      block.split('\n').map((line): [string, string] => {
        const cut = line.indexOf('=');
        return [line.slice(0, cut), line.slice(cut + 1)];
      }),
    ),
  );
  return new Map(
    blocks.map((block) => [
      block['Id'] ?? '',
      {
        active: block['ActiveState'] ?? 'unknown',
        sub: block['SubState'] ?? 'unknown',
        enabled: block['UnitFileState'] === 'enabled',
        restarts: Number(block['NRestarts'] ?? 0),
        pid: Number(block['MainPID'] ?? 0),
      },
    ]),
  );
}

/** Changes a unit's state and waits for it. Exit code 0 of `start` says only that it was started: look again. */
export const systemctl = (
  verb: 'start' | 'stop' | 'restart' | 'reload' | 'enable' | 'disable',
  ...units: string[]
): Command => ({
  argv: ['systemctl', verb, ...units],
  timeout: 120_000,
});

export const daemonReload: Command = { argv: ['systemctl', 'daemon-reload'] };

/** Forgets failed states, so that a removed unit leaves no trace in `systemctl`. */
export const resetFailed: Command = { argv: ['systemctl', 'reset-failed', 'fossilrepo*'], accept: [1] };

/** Checks unit files without installing them. It answers 0 with complaints on standard error for what it only ignores. */
export const verifyUnits = (files: readonly string[]): Command => ({
  argv: ['systemd-analyze', 'verify', '--man=no', ...files],
});

/** Asks whether the kernel's clock is kept right by a time service, whichever: it prints `yes` or `no`. */
export const clockSynchronized: Command = {
  argv: ['timedatectl', 'show', '--property=NTPSynchronized', '--value'],
  timeout: 5_000,
};

/**
 * Has a tmpfiles.d file read and nothing made: there is no dry run before systemd 256, and with `--create --prefix=` another folder's
 * lines are read only to the path. Cleaning reads all of them, and does something only to lines that have an age.
 */
export const checkTmpfiles = (file: string): Command => ({ argv: ['systemd-tmpfiles', '--clean', file] });

/** Makes what a tmpfiles.d file asks for, now. */
export const createTmpfiles = (file: string): Command => ({ argv: ['systemd-tmpfiles', '--create', file] });

/** Shows a unit's log. */
export const journal = (units: readonly string[], follow: boolean, lines: number): Command => ({
  argv: [
    'journalctl',
    '--no-pager',
    '--quiet',
    '--output=short-iso',
    `--lines=${lines}`,
    ...(follow ? ['--follow'] : []),
    ...units.flatMap((unit) => ['--unit', unit]),
  ],
});

/** What a unit said since an instant (milliseconds), without times. */
export const journalSince = (unit: string, since: number): Command => ({
  argv: [
    'journalctl',
    '--no-pager',
    '--quiet',
    '--output=cat',
    `--since=@${(since / 1000).toFixed(3)}`,
    '--unit',
    unit,
  ],
});

/** The last line that says what went wrong, of what a unit said: its own, since systemd's only says that something did. */
export function readComplaint(stdout: string): string {
  const lines = stdout
    .split('\n')
    .filter((line) => /error|fail|denied|cannot|refused|fatal/i.test(line))
    .filter((line) => !/fossilrepo-\w+\.service|^\(/.test(line));
  return (lines.at(-1) ?? '').slice(0, 600);
}
