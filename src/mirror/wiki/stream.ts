import type { Ident } from '../../store/idents.ts';
import { wikiNames } from './names.ts';
import { pageToMarkdown } from './page.ts';
import type { Wiki, WikiChange } from './read.ts';

/** The ref that the stream ends with. */
export const wikiRef = 'refs/heads/wiki';

/**
 * A wiki as `git fast-import` reads it: a commit for each change, the oldest first. The same wiki makes the same commits.
 * @param identOf how somebody is called in Git
 */
export function* wikiStream(wiki: Wiki, identOf: (login: string) => Ident): Generator<Buffer> {
  const names = wikiNames(wiki.changes);
  yield Buffer.from(`reset ${wikiRef}\n\n`);
  let mark = 0;
  for (const change of wiki.changes) {
    const path =
      change.kind === 'page' ? names.fileOf(change.page) : names.attachmentOf(change.page, change.file);
    if (path === undefined) continue;
    const content = contentOf(wiki, change, (page) => pageToMarkdown(change.page, page, names));
    const { name, mail } = identOf(change.by);
    yield Buffer.concat([
      Buffer.from(
        `commit ${wikiRef}\nmark :${++mark}\ncommitter ${name} <${mail}> ${Math.floor(change.at / 1_000)} +0000\n`,
      ),
      data(Buffer.from(messageOf(change, content === undefined))),
      ...(mark === 1 ? [] : [Buffer.from(`from :${mark - 1}\n`)]),
      ...(content === undefined
        ? [Buffer.from(`D ${quoted(path)}\n\n`)]
        : [Buffer.from(`M 100644 inline ${quoted(path)}\n`), data(content), Buffer.from('\n')]),
    ]);
  }
  yield Buffer.from('done\n');
}

/** Undefined: it is gone. */
function contentOf(
  wiki: Wiki,
  { kind, rid, content }: WikiChange,
  inMarkdown: (page: ReturnType<Wiki['page']>) => string,
): Buffer | undefined {
  if (kind === 'file') return content === 0 ? undefined : wiki.content(content);
  const page = wiki.page(rid);
  return page.text === '' ? undefined : Buffer.from(inMarkdown(page));
}

function messageOf({ kind, page, file, hash, comment }: WikiChange, gone: boolean): string {
  const what = kind === 'page' ? page : `${file} of ${page}`;
  const said = comment.trim() === '' ? '' : `\n\n${comment.trim()}`;
  const text = `${gone ? 'Delete' : 'Write'} ${what.replaceAll(/\s+/g, ' ')}${said}`;
  return `${text.toWellFormed().replaceAll('\0', '')}\n\nFossilOrigin-Name: ${hash}\n`;
}

const data = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`data ${bytes.length}\n`), bytes, Buffer.from('\n')]);

/** A path in quotes, in which nothing can end the line or the quotes. */
const quoted = (path: string): string =>
  `"${path.replaceAll(/[\u0000-\u001f"\\\u007f]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, '0')}`)}"`;
