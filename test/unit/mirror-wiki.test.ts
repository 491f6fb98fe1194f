import { expect, test } from 'vitest';
import { fossilWikiToMarkdown, plainToMarkdown } from '../../src/mirror/wiki/markdown.ts';
import { wikiNames } from '../../src/mirror/wiki/names.ts';
import { pageToMarkdown } from '../../src/mirror/wiki/page.ts';
import type { WikiChange } from '../../src/mirror/wiki/read.ts';
import { wikiUrl } from '../../src/mirror/wiki/sync.ts';

const change = (page: string, file = ''): WikiChange => ({
  ...{
    kind: file === '' ? 'page' : 'file',
    page,
    file,
    hash: 'h',
    rid: 1,
    content: 0,
    at: 0,
    by: '',
    comment: '',
  },
});

test.each([
  ['plain words', 'plain words'],
  ['<b>bold</b> <script>x', '<b>bold</b> &lt;script&#62;x'],
  ['  *  one\n  *  two', '* one\n* two'],
  ['  #  one', '1. one'],
  ['    indented', 'indented'],
  ['# no heading', '&#35; no heading'],
  ['1. no list', '1&#46; no list'],
  ['[https://example.org/|there]', '[there](<https://example.org/>)'],
  ['[javascript:alert(1)|there]', 'there'],
  ['[abc123]', '&#91;abc123&#93;'],
  ['*not* _emphasis_ snake_case `code`', '&#42;not&#42; &#95;emphasis&#95; snake_case &#96;code&#96;'],
  ['<verbatim>a *b* <c></verbatim>', '<pre>a &#42;b&#42; &#60;c&#62;</pre>'],
  ['<nowiki>[x]</nowiki>', '&#91;x&#93;'],
  ['<!-- x -->', '&lt;!-- x --&#62;'],
  ['&amp; &lt;', '&amp; &lt;'],
])('Fossil’s wiki %j is %j in Markdown', (wiki, markdown) => {
  expect(fossilWikiToMarkdown(wiki)).toBe(markdown);
});

test('plain text keeps its lines and its indentation', () => {
  expect(plainToMarkdown('- a\n  *b*\n\nc')).toBe('&#45; a  \n&nbsp;&nbsp;&#42;b&#42;  \n\nc');
});

test('names fit every file system, and whoever came first has the plain one', () => {
  const names = wikiNames([
    ...['Start page', 'start PAGE', 'a/b', 'a-b', '..', 'CON', 'attachments', '-x'].map((page) =>
      change(page),
    ),
    ...[change('a/b', 'x y.png'), change('a/b', 'X Y.png'), change('a/b', '../../etc')],
  ]);
  expect(names.fileOf('Start page')).toBe('Start-page.md');
  expect(names.fileOf('start PAGE')).toMatch(/^start-PAGE-[0-9a-f]{8}\.md$/);
  expect(names.fileOf('a/b')).toBe('a-b.md');
  expect(names.fileOf('a-b')).toMatch(/^a-b-[0-9a-f]{8}\.md$/);
  expect(names.fileOf('attachments')).toBe('attachments_.md');
  for (const page of ['..', 'CON', '-x']) expect(names.fileOf(page)).not.toMatch(/^(\.|con\.|-)/i);
  expect(names.fileOf('none')).toBeUndefined();
  expect(names.attachmentOf('a/b', 'x y.png')).toBe('attachments/a-b/x-y.png');
  expect(names.attachmentOf('a/b', 'X Y.png')).toMatch(/^attachments\/a-b\/X-Y.*[0-9a-f]{8}$/);
  expect(names.attachmentOf('a/b', '../../etc')).not.toContain('..');
});

test('links between pages, and to attached files, lead to their files', () => {
  const names = wikiNames([change('Start page'), change('Other'), change('Other', 'p.png')]);
  const markdown = (text: string) =>
    pageToMarkdown('Other', { mimetype: 'text/x-markdown', text }, names).trimEnd();
  expect(markdown('[a](wiki:Start+page) [b](/wiki?name=Start%20page#x)')).toBe(
    '[a](Start-page.md) [b](Start-page.md#x)',
  );
  expect(markdown('![p](p.png) ![q](/raw?file=p.png&page=Other)')).toBe(
    '![p](attachments/Other/p.png) ![q](attachments/Other/p.png)',
  );
  expect(markdown('[a](https://example.org/) `[a](Other)` [b](#x)')).toBe(
    '[a](https://example.org/) `[a](Other)` [b](Other.md#x)',
  );
  expect(markdown('[one]: Start')).toBe('[one]: Start');
  expect(markdown('[one]: wiki:Other')).toBe('[one]: Other.md');
  expect(pageToMarkdown('Other', { mimetype: '', text: '[Start page|there] [Nowhere]' }, names)).toBe(
    '[there](<Start-page.md>) &#91;Nowhere&#93;\n',
  );
});

test('a wiki’s repository stands beside the code’s', () => {
  expect(wikiUrl('https://github.com/me/demo.git')).toBe('https://github.com/me/demo.wiki.git');
  expect(wikiUrl('git@gitlab.com:me/demo')).toBe('git@gitlab.com:me/demo.wiki.git');
});
