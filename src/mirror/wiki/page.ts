import { fossilWikiToMarkdown, type LinkFor, plainToMarkdown, webLinks } from './markdown.ts';
import type { WikiNames } from './names.ts';
import type { WikiPage } from './read.ts';

/** A page as Markdown. @param page its name */
export function pageToMarkdown(page: string, { mimetype, text }: WikiPage, names: WikiNames): string {
  const source = text.toWellFormed().replaceAll('\0', '');
  const to = linksFrom(page, names);
  const made =
    mimetype === 'text/x-markdown'
      ? relinked(source, to)
      : mimetype === 'text/plain'
        ? plainToMarkdown(source)
        : fossilWikiToMarkdown(source, (target) => webLinks(target) ?? to(target));
  return made.endsWith('\n') || made === '' ? made : `${made}\n`;
}

/** Links to pages and to files attached to them, as both formats write them; undefined for any other. */
const linksFrom =
  (page: string, names: WikiNames): LinkFor =>
  (target) => {
    const [, address = '', anchor = ''] = /^([^#]*)(#.*)?$/s.exec(target) ?? [];
    const own = decoded(
      /^(?:wiki:|\/?wiki\/|(?:\/?wiki)?\?name=)([^&]+)$/.exec(address)?.[1] ?? (address || page),
    );
    const file = names.fileOf(own);
    if (file !== undefined) return address === '' && anchor === '' ? undefined : `${coded(file)}${anchor}`;
    const query = new URLSearchParams(
      /^\/?(?:raw|attachview|attachdownload)\?(.*)$/.exec(address)?.[1] ?? '',
    );
    const attached = names.attachmentOf(query.get('page') ?? page, query.get('file') ?? own);
    return attached === undefined ? undefined : coded(attached);
  };

/** Markdown's own links: `[words](target)`, images too, and `[words]: target`. Code is left alone. */
const relinked = (text: string, to: LinkFor): string =>
  text.replaceAll(
    /(```[\s\S]*?(?:```|$)|`[^`\n]*`)|(\]\(\s*<?)([^)\s<>]+)(>?)|^( {0,3}\[[^\]\n]+\]:\s*<?)([^\s<>]+)/gm,
    (
      whole: string,
      code: string | undefined,
      before: string | undefined,
      target: string | undefined,
      after: string | undefined,
      defined: string | undefined,
      elsewhere: string | undefined,
    ): string => {
      if (code !== undefined) return whole;
      const [head = '', link = ''] = defined === undefined ? [before, target] : [defined, elsewhere];
      return head + (to(link) ?? link) + (after ?? '');
    },
  );

const coded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
