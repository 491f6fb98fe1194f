import { type Forge, withForge } from '../forge.ts';
import { type DescribedUpstream, describeUpstream } from '../mirror/upstream/describe.ts';
import { afterRewrite } from '../mirror/upstream/error.ts';
import type { GlobalOptions } from '../server.ts';
import { findGitImport, importedRefs } from '../store/git-imports.ts';
import { getRepository } from '../store/repositories.ts';
import { getUpstream } from '../store/upstreams.ts';
import { showInstant } from '../system/instant.ts';

/** `fossilrepo upstream show REPO`. */
export async function upstreamShow(options: GlobalOptions, repository: string): Promise<void> {
  await withForge(options, (forge: Forge) => {
    const row = getRepository(forge.store, repository);
    const shown = describeUpstream(row, getUpstream(forge.store, row.id, row.name));
    const known = findGitImport(forge.store, row.id);
    const imported = known && {
      main: known.main,
      commits: known.commits,
      refs: Object.fromEntries(importedRefs(forge.store, row.id)),
    };
    forge.out.result(
      { upstream: shown, imported: imported ?? null },
      [
        ...lines(shown),
        ...(imported
          ? [
              `trunk           ${imported.main} there`,
              `imported        ${imported.commits} commits, ${Object.keys(imported.refs).length} branches and tags`,
            ]
          : []),
      ].join('\n'),
    );
    return Promise.resolve();
  });
}

function lines(one: DescribedUpstream): string[] {
  const when = (instant: string | null, none: string) =>
    instant === null ? none : showInstant(new Date(instant));
  return [
    `${one.repository} follows ${one.url} (${one.kind === 'git' ? 'Git' : 'Fossil'})`,
    `schedule        every ${one.schedule}`,
    `credential      ${one.credential}${one.user === null ? '' : ` of ${one.user}`}`,
    ...one.hostKeys.map(({ type, fingerprint }) => `host key        ${type} ${fingerprint}`),
    `last success    ${when(one.lastSuccess, 'never')}`,
    `last news       ${one.lastNews === null ? 'none' : `${when(one.lastNews.at, '')}: ${one.lastNews.what}`}`,
    ...(one.error === null
      ? []
      : [`error           ${one.error}`, `failing since   ${when(one.failingSince, '')}`]),
    ...(one.errorKind === 'rewritten' ? [`to be done      ${afterRewrite(one.repository)}`] : []),
    `next try        ${when(one.nextTry, 'not by itself: something has to be mended first')}`,
  ];
}
