import prettyBytes from 'pretty-bytes';
import { coverageNow } from '../backup/coverage-now.ts';
import { withForge } from '../forge.ts';
import { addressingOf } from '../health/outside.ts';
import { listWith } from '../repos/describe.ts';
import type { GlobalOptions } from '../server.ts';
import { getRepository } from '../store/repositories.ts';

/** `fossilrepo repo show NAME`. */
export async function repoShow(options: GlobalOptions, name: string): Promise<void> {
  await withForge(options, async (forge) => {
    const repository = getRepository(forge.store, name);
    const shown = listWith(forge, repository, await addressingOf(forge.config));
    const replica = (await coverageNow(forge)).find(({ id }) => id === repository.id);
    const age = replica?.ageSeconds ?? null;
    const lines = [
      `name         ${shown.name}${shown.archived ? ' (archived)' : ''}`,
      `id           ${shown.id}`,
      `visibility   ${shown.visibility}`,
      ...(shown.description === '' ? [] : [`description  ${shown.description}`]),
      `address      ${shown.url}`,
      `clone        ${shown.cloneCommand}`,
      `file         ${shown.path} (${prettyBytes(shown.bytes)})`,
      `check-ins    ${shown.problem ?? shown.checkins}`,
      `replica      ${age === null ? `none: ${replica?.why ?? 'not replicated'}` : `${age.toFixed(1)} s old`}`,
    ];
    forge.out.result({ ...shown, replicated: replica?.ok ?? false, ageSeconds: age }, lines.join('\n'));
  });
}
