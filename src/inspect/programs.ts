import type { Config } from '../config/config.ts';
import { messageOf } from '../errors.ts';
import { caddyVersion, oldestCaddy, readCaddyVersion } from '../programs/caddy.ts';
import { fossilVersion, oldestFossil, readFossilVersion } from '../programs/fossil.ts';
import { litestreamVersion, oldestLitestream, readLitestreamVersion } from '../programs/litestream.ts';
import type { Supervisor } from '../stack/supervisor.ts';
import { type ServiceUser, serviceUsers } from '../system/identity.ts';
import type { Command, Run } from '../system/run.ts';
import type { Preflight } from './preflight.ts';
import { whyUnreachable } from './reachable.ts';

type Asked = {
  name: 'fossil' | 'caddy' | 'litestream';
  user: ServiceUser;
  ask: (program: string) => Command;
  read: (stdout: string) => readonly number[];
  oldest: readonly number[];
};

const numbers = (version: string) => version.split('.').map(Number);

const asked: Asked[] = [
  {
    name: 'fossil',
    user: serviceUsers.repositories,
    ask: fossilVersion,
    read: (text) => readFossilVersion(text).version,
    oldest: oldestFossil,
  },
  {
    name: 'caddy',
    user: serviceUsers.edge,
    ask: caddyVersion,
    read: (text) => numbers(readCaddyVersion(text)),
    oldest: numbers(oldestCaddy),
  },
  {
    name: 'litestream',
    user: serviceUsers.management,
    ask: litestreamVersion,
    read: (text) => numbers(readLitestreamVersion(text)),
    oldest: numbers(oldestLitestream),
  },
];

/** Asks each program for its version; one that is missing, too old or out of its part's reach is refused with what is needed. */
export async function checkPrograms(
  config: Pick<Config, 'programs'>,
  run: Run,
  supervisor: Pick<Supervisor, 'kind'>,
): Promise<Preflight[]> {
  return Promise.all(
    asked.map(async ({ name, user, ask, read, oldest }): Promise<Preflight> => {
      const program = config.programs[name];
      const next = `Set programs.${name} in fossilrepo.yaml to one of version ${oldest.join('.')} or later, or leave it out.`;
      try {
        const unreachable =
          supervisor.kind === 'systemd' ? await whyUnreachable(program, user, run) : undefined;
        if (unreachable)
          return {
            what: name,
            verdict: 'refuse',
            message: `${program} can't be used: ${unreachable.why}.`,
            next: unreachable.next,
          };
        const version = read((await run(ask(program))).stdout);
        const message = `${program} is version ${version.join('.')}`;
        return atLeast(version, oldest)
          ? { what: name, verdict: 'fine', message }
          : {
              what: name,
              verdict: 'refuse',
              message: `${message}; ${oldest.join('.')} or later is needed.`,
              next,
            };
      } catch (error) {
        return {
          what: name,
          verdict: 'refuse',
          message: `${program} can't be used: ${messageOf(error)}`,
          next,
        };
      }
    }),
  );
}

/** Whether a version, as numbers from left to right, is at least another. */
export function atLeast(version: readonly number[], oldest: readonly number[]): boolean {
  for (const [index, part] of oldest.entries()) {
    const have = version[index] ?? 0;
    if (have !== part) return have > part;
  }
  return true;
}
