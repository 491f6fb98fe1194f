import { join } from 'node:path';
import pMap from 'p-map';
import { exitCodes, messageOf } from '../errors.ts';
import { withForge } from '../forge.ts';
import { scratch } from '../repos/scratch.ts';
import { verifyRepository, waitingInWords } from '../repos/verify.ts';
import type { GlobalOptions } from '../server.ts';
import { getRepository, listRepositories } from '../store/repositories.ts';

/** `fossilrepo repo verify [NAME…]`: every artifact's hash, unversioned files too. Answers 4 when one is damaged. */
export async function repoVerify(options: GlobalOptions, names: readonly string[]): Promise<void> {
  await withForge(options, async (forge) => {
    const { run, config, paths, store, out } = forge;
    const rows =
      names.length > 0
        ? names.map((name) => getRepository(store, name))
        : listRepositories(store).filter(({ state }) => state === 'active');
    const results = await pMap(
      rows,
      async ({ name, file }) => {
        if (out.live) out.say(`checking ${name}`);
        try {
          using home = scratch(paths);
          const verified = await verifyRepository(
            run,
            { program: config.programs.fossil, home: home.path },
            join(paths.data, file),
          );
          return { name, ok: verified.errors.length === 0, ...verified };
        } catch (error) {
          return { name, ok: false, artifacts: 0, unversioned: 0, waiting: 0, errors: [messageOf(error)] };
        }
      },
      { concurrency: 2 },
    );
    const lines = results.flatMap(({ name, ok, artifacts, unversioned, waiting, errors }) => [
      `${ok ? 'ok ' : 'BAD'} ${name}: ${artifacts} artifacts, ${unversioned} unversioned files${waitingInWords(waiting)}`,
      ...errors.map((error) => `    ${error}`),
    ]);
    out.result({ results }, lines.join('\n'));
    if (results.some(({ ok }) => !ok)) process.exitCode = exitCodes.check;
  });
}
