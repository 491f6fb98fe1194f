import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isRoot } from './identity.ts';
import { cleanEnvironment } from './run.ts';

/**
 * Has a program read what of a process only its own user may: in a container root has no CAP_SYS_PTRACE, which the kernel wants of
 * anybody else (proc_pid_fd(5), ptrace(2)). It wants the same user, group and at least the same capabilities.
 * @param pid a process of another user's; the caller is root
 * @returns what the program printed; empty when the process has ended, it isn't root who asks, or the program could not read it
 */
export function readAsOwner(pid: number, argv: readonly string[]): string {
  const status = isRoot() ? statusOf(pid) : '';
  const [, uid] = /^Uid:\t(\d+)/m.exec(status) ?? [];
  const [, gid] = /^Gid:\t(\d+)/m.exec(status) ?? [];
  if (uid === undefined || gid === undefined) return '';
  const held = namesOf(/^CapPrm:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
  const same = ['-all', ...held.map((name) => `+${name}`)].join(',');
  const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  const read = spawnSync(
    'setpriv',
    [...identity, `--inh-caps=${same}`, `--ambient-caps=${same}`, '--', ...argv],
    {
      cwd: '/',
      env: cleanEnvironment(),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    },
  );
  return read.stdout;
}

/** Anybody may read it. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** As setpriv writes capabilities. @param mask as proc_pid_status(5) has it */
function namesOf(mask: string): string[] {
  const bits = BigInt(`0x${mask}`);
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (bits >> BigInt(bit)) & 1n)
    .map((bit) => `cap_${bit}`);
}
