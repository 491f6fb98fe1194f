import { readdirSync, readFileSync } from 'node:fs';

/** The processes whose command line or environment names a folder: everything that belongs to a server in it. Ended ones don't count. */
export function processesOf(folder: string): { pid: number; argv: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const argv = readOrNothing(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      const environment = readOrNothing(`/proc/${name}/environ`);
      return `${argv} ${environment}`.includes(folder) ? [{ pid: Number(name), argv }] : [];
    })
    .filter(({ pid }) => pid !== process.pid);
}

/** Milliseconds of processor time that a process and its ended children have used. */
export function processorTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 to 17 of proc_pid_stat(5), in hundredths of a second on Linux.
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
}

/** Bytes of memory that are a process's own, with its part of what it shares. */
export function memoryOf(pid: number): number {
  const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(found?.[1]) * 1024;
}

/** A number that a test measured, for whoever reads its output. */
export const measured = (text: string) => void process.stdout.write(`measured: ${text}\n`);

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
