import { fossilWikiToMarkdown, plainToMarkdown } from '../wiki/markdown.ts';

/** Invisible, of no width: what stands behind it is no longer next to what stands before it. */
const gap = '\u200b';

/** Control characters that no host takes; a lone half of a pair is no text at all. */
const clean = (text: string): string =>
  text.toWellFormed().replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '');

/**
 * A text of Fossil's as Markdown that does nothing at a host: nobody is mentioned by it (`@name` would send mail), no other issue is linked
 * (`#12` is another one there), GitLab carries out no line of it (`/close`), and no marker can be in it.
 */
export function toMarkdown(text: string, mimetype: string): string {
  const source = clean(text).replaceAll('\r\n', '\n');
  return harmless(inMarkdown(source, mimetype)).trim();
}

function inMarkdown(text: string, mimetype: string): string {
  if (mimetype === 'text/x-markdown' || mimetype === 'text/html') return text;
  return mimetype === 'text/plain' ? plainToMarkdown(text) : fossilWikiToMarkdown(text);
}

const harmless = (text: string): string =>
  text
    .replaceAll(/&(?:#0*64|#x0*40|commat);?/gi, '@')
    .replaceAll('<!--', '&lt;!--')
    // Within an address nothing of this has a meaning, and it would lead elsewhere.
    .replaceAll(
      /(https?:\/\/[^\s<>()]+)|(?<![\w&])(@(?=\w)|[#!](?=\d))/g,
      (_, url?: string, sign?: string) => url ?? `${sign ?? ''}${gap}`,
    )
    .replaceAll(/^([ \t>]*)\/(?=\w)/gm, `$1${gap}/`);

/** A name within a sentence. */
export const nameInText = (name: string): string =>
  harmless(plainToMarkdown(clean(name).replaceAll(/\s+/g, ' ').trim()).trim());

/** A title is one line that isn't empty, and stays the same when a host takes spaces away. */
export function toTitle(text: string): string {
  const line = clean(text).replaceAll(/\s+/g, ' ').trim();
  return line === '' ? '(no title)' : cut(line, longestTitle);
}

/** The shortest that any of the hosts takes: Gitea and GitLab 255. */
const longestTitle = 250;
/** GitHub takes 65,536 characters; people may add some of theirs. */
const longestText = 60_000;

/** A text that every host takes. */
export const cutText = (text: string): string =>
  text.length <= longestText ? text : `${cut(text, longestText)}\n\n*The rest is in Fossil.*`;

const cut = (text: string, most: number): string =>
  text.length <= most
    ? text
    : `${text
        .slice(0, most - 1)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`;
