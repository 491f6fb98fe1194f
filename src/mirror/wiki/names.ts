import { refNames } from '../export/ref-names.ts';
import type { WikiChange } from './read.ts';

/** Where pages and attached files are in Git. */
export type WikiNames = {
  /** Of a page that was ever there: `Start-page.md`. */
  fileOf: (page: string) => string | undefined;
  /** `attachments/Start-page/photo.png` */
  attachmentOf: (page: string, file: string) => string | undefined;
};

/**
 * Gives every page and file a name that every file system can hold, whoever came first the plain one; hosts show `Start-page.md` as *Start page*.
 */
export function wikiNames(changes: readonly WikiChange[]): WikiNames {
  const takePage = refNames();
  const pages = new Map<string, string>();
  for (const { page } of changes) if (!pages.has(page)) pages.set(page, takePage(flat(page)).name);
  const files = new Map<string, string>();
  const takers = new Map<string, ReturnType<typeof refNames>>();
  for (const { kind, page, file } of changes) {
    const key = JSON.stringify([page, file]);
    if (kind !== 'file' || files.has(key)) continue;
    const take = takers.get(page) ?? refNames();
    takers.set(page, take);
    files.set(key, `attachments/${pages.get(page) ?? ''}/${take(flat(file)).name}`);
  }
  return {
    fileOf: (page) => {
      const name = pages.get(page);
      return name === undefined ? undefined : `${name}.md`;
    },
    attachmentOf: (page, file) => files.get(JSON.stringify([page, file])),
  };
}

/** Folders would be in the way of links; a page that is called like the folder of attachments, too. */
const flat = (name: string): string => {
  const one = name.replaceAll(/[\s/]+/g, '-').replaceAll(/[%#]/g, '_');
  return /^(attachments|\.git.*)$/i.test(one) ? `${one}_` : one;
};
