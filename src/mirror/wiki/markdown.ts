/** What a link in Fossil leads to elsewhere; undefined: nowhere, its words stay. */
export type LinkFor = (target: string) => string | undefined;

/** Links to the web stay what they are. */
export const webLinks: LinkFor = (target) =>
  /^(https?:\/\/|mailto:)[^\s<>]+$/i.test(target) ? target : undefined;

/** Tags of Fossil's wiki that Git hosts know, too (wikiformat.c); others lose their brackets' meaning and are shown. */
const tags =
  /^<\/?(a|abbr|address|b|big|blockquote|br|center|cite|code|dd|del|dfn|div|dl|dt|em|h[1-6]|hr|i|img|ins|kbd|li|ol|p|pre|q|s|samp|small|span|strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var)(\s[^<>]*)?\/?>/i;

/**
 * Fossil's wiki as Markdown: tags stay, links and lists become Markdown's, and characters that mean something only to Markdown are written as
 * numbers, which no host takes for more than the character.
 */
export function fossilWikiToMarkdown(source: string, linkFor: LinkFor = webLinks): string {
  let made = '';
  let lineStart = true;
  const text = source.replaceAll('\r\n', '\n');
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at, at + longestToken);
    if (lineStart) {
      const [lead = '', bullet] = /^[ \t]*(?:([*#]|\d+\.)[ \t]+)?/.exec(rest) ?? [];
      const isList = bullet !== undefined && /^[ \t]/.test(lead) && /[ \t]{2,}$|^\t|^ {2}/.test(lead);
      // Four spaces would be code to Markdown.
      made += isList ? (bullet === '*' ? '* ' : '1. ') : '';
      at += isList ? lead.length : (/^[ \t]*/.exec(rest)?.[0].length ?? 0);
      lineStart = false;
      made += lineLead(text.slice(at, at + 12));
      at += lineLeadLength(text.slice(at, at + 12));
      continue;
    }
    const [token, length] = tokenAt(text, at, rest, linkFor);
    made += token;
    lineStart = token.endsWith('\n');
    at += length;
  }
  return made;
}

/** Tags and links are no longer. Characters. */
const longestToken = 4_096;

function tokenAt(text: string, at: number, rest: string, linkFor: LinkFor): [string, number] {
  if (rest.startsWith('<')) {
    const [verbatim] = /^<(verbatim|nowiki)(\s[^<>]*)?>/i.exec(rest) ?? [];
    if (verbatim !== undefined) return verbatimAt(text, at, verbatim);
    const [tag] = tags.exec(rest) ?? [];
    // A comment could hold a marker.
    return tag === undefined ? ['&lt;', 1] : [tag, tag.length];
  }
  if (rest.startsWith('[')) {
    const [link, target = '', label] = /^\[([^|\[\]\n]+)(?:\|([^\[\]\n]*))?\]/.exec(rest) ?? [];
    if (link !== undefined) return [linked(target.trim(), label?.trim(), linkFor), link.length];
  }
  // What is written as `&amp;` means the same in both.
  const [words = ''] = /^(?:[^<[\n&]+|.|\n)/.exec(rest) ?? [];
  return [escapeMarkdown(words), words.length];
}

function verbatimAt(text: string, at: number, opening: string): [string, number] {
  const name = /^<nowiki/i.test(opening) ? 'nowiki' : 'verbatim';
  const from = at + opening.length;
  const end = text.toLowerCase().indexOf(`</${name}>`, from);
  const inner = text.slice(from, end < 0 ? undefined : end);
  const length = end < 0 ? text.length - at : end + name.length + 3 - at;
  const plain = escapeMarkdown(inner.replace(/^\n/, ''));
  return [name === 'nowiki' ? plain : `<pre>${plain.replaceAll('\n\n', '\n&#8203;\n')}</pre>`, length];
}

function linked(target: string, label: string | undefined, linkFor: LinkFor): string {
  const to = linkFor(target);
  const words = escapeMarkdown(label === undefined || label === '' ? target : label);
  if (to !== undefined) return `[${words}](<${to.replaceAll(/[<>\n]/g, '')}>)`;
  return label === undefined || label === '' ? `&#91;${words}&#93;` : words;
}

/** A line's first characters that would be a list, a heading or a quote. */
const leads = /^(?:(\d{1,9})([.)])(?=\s)|([-+=#>:|])|(\/)(?=\w))/;
const lineLead = (text: string): string => {
  const [, number, dot = '', sign, slash] = leads.exec(text) ?? [];
  if (number !== undefined) return `${number}&#${dot.charCodeAt(0)};`;
  const one = sign ?? slash;
  return one === undefined ? '' : `&#${one.charCodeAt(0)};`;
};
const lineLeadLength = (text: string): number => leads.exec(text)?.[0].length ?? 0;

/** Any text so that Markdown shows it as it is, but for what only means something where a line begins. */
export const escapeMarkdown = (text: string): string =>
  text.replaceAll(/[*`[\]\\~<>]|&(?=[#\w])|(?<!\w)_|_(?!\w)/g, (one) => `&#${one.charCodeAt(0)};`);

/** A plain text: its lines stay lines, its indentation is kept. */
export const plainToMarkdown = (text: string): string =>
  text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => {
      const [indent = ''] = /^[ \t]*/.exec(line) ?? [];
      const inner = line.slice(indent.length);
      const lead = lineLead(inner);
      const rest = lead === '' ? inner : inner.slice(lineLeadLength(inner));
      const space = indent.replaceAll('\t', '    ').replaceAll(' ', '&nbsp;');
      return inner === '' ? '' : `${space}${lead}${escapeMarkdown(rest)}  `;
    })
    .join('\n')
    .replace(/ +$/, '');
