import type { Command } from '../system/run.ts';

/** Removes packages with their configuration, and nothing else: no autoremove, which could take what others need. */
export const purgePackages = (names: readonly string[]): Command => ({
  argv: ['apt-get', 'purge', '--yes', '--quiet', '-o', 'DPkg::Lock::Timeout=120', ...names],
  env: { DEBIAN_FRONTEND: 'noninteractive' },
});

/** What a removal would take along: a line `Purg NAME` each. */
export const simulatePurge = (names: readonly string[]): Command => ({
  argv: ['apt-get', 'purge', '--simulate', '--quiet', ...names],
});

/** The packages that `simulatePurge` says would go. */
export const readPurged = (stdout: string): string[] =>
  [...stdout.matchAll(/^Purg (\S+)/gm)].map(([, name]) => name ?? '');
