import { expect } from 'vitest';
import { eventually, type Said } from '../real/forge.ts';
import { endedFirst } from './fault.ts';
import type { Luck } from './luck.ts';
import type { Stage } from './stage.ts';

/**
 * Kills a command of fossilrepo at a random moment, and runs another until it says that it is done.
 * @param longest how long it takes at the most, in milliseconds: a later moment would find it ended
 * @returns what became of the one that was killed, and what the second said
 */
export async function cutShort(
  { forge }: Stage,
  luck: Luck,
  { longest, argv }: { longest: number; argv: readonly string[] },
): Promise<typeof endedFirst | 'killed'> {
  const said = await forge.killed(luck.between(50, longest), ...argv);
  if (said.code !== null) expect(said.code, said.stdout + said.stderr).toBe(0);
  return said.code === null ? 'killed' : endedFirst;
}

/** Runs a command that has to succeed. */
export async function succeed({ forge }: Stage, ...argv: string[]): Promise<Said> {
  const said = await forge.cli(...argv);
  expect(said.code, `fossilrepo ${argv.join(' ')} says:\n${said.stdout}${said.stderr}`).toBe(0);
  return said;
}

/** That one of some addresses answers with a page: a name that a killed command left closed answers 503 until it is opened. */
export const isOpen = (addresses: readonly string[]): Promise<number> =>
  eventually(
    async () => {
      const answers = await Promise.all(
        addresses.map((address) =>
          fetch(address).then(
            async (answer) => {
              await answer.arrayBuffer();
              return answer.status;
            },
            () => 0,
          ),
        ),
      );
      return answers.includes(200);
    },
    30_000,
    `one of ${addresses.join(', ')} is open`,
  );
