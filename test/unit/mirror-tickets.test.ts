import { expect, test } from 'vitest';
import { limitedUntil, spentUntil } from '../../src/mirror/hosts/rate-limit.ts';
import { projectOf } from '../../src/mirror/hosts/project.ts';
import { isOurLabel, issueOf } from '../../src/mirror/tickets/issue.ts';
import { markersOf, ownPart } from '../../src/mirror/tickets/marker.ts';
import { editOf, newBody, planTickets } from '../../src/mirror/tickets/plan.ts';
import type { Said, Ticket } from '../../src/mirror/tickets/read.ts';
import { toMarkdown, toTitle } from '../../src/mirror/tickets/text.ts';
import { secret } from '../../src/secrets/secret.ts';

const hash = 'a'.repeat(40);
const markers = markersOf(secret('key'), 'repository');

const said = (id: string, at: number, text: string): Said => ({ id, at, by: 'alice', mimetype: '', text });
const ticket = (more: Partial<Ticket> = {}): Ticket => ({
  ...{ hash, title: 'It breaks', status: 'Open', fields: { type: 'Code_Defect', priority: 'High' } },
  ...{ description: 'Words', at: 1_000, by: 'alice', comments: [] },
  ...more,
});
const remote = (body: string, more: object = {}) => ({
  ...{ number: 5, title: 'It breaks', body, open: true, labels: ['type:Code_Defect', 'priority:High'] },
  ...more,
});

test('what is there whole needs nothing; what is new is made, what differs changed', () => {
  const wanted = issueOf(ticket());
  expect(planTickets([wanted], new Map([[hash, { issue: 5, rev: wanted.rev }]]))).toEqual([]);
  expect(planTickets([wanted], new Map())).toEqual([{ kind: 'create', wanted }]);
  for (const rev of ['-', 'abc'])
    expect(planTickets([wanted], new Map([[hash, { issue: 5, rev }]]))).toEqual([
      { kind: 'update', wanted, issue: 5 },
    ]);
});

test('every visible change makes another revision, and nothing else does', () => {
  const { rev } = issueOf(ticket());
  expect(issueOf(ticket()).rev).toBe(rev);
  for (const more of [
    { title: 'x' },
    { status: 'Closed' },
    { description: 'x' },
    { fields: { type: 'Code_Defect', priority: 'Low' } },
    { comments: [said('c1', 2_000, 'x')] },
  ])
    expect(issueOf(ticket(more)).rev, JSON.stringify(more)).not.toBe(rev);
});

test('a new issue says that it isn’t whole until its comments and its state are there', () => {
  const markerOf = (one: Ticket) => markers.readTicket(newBody(issueOf(one), markers));
  expect(markerOf(ticket())).toMatchObject({ ticket: hash, rev: issueOf(ticket()).rev, state: 'open' });
  expect(markerOf(ticket({ status: 'Fixed' }))).toMatchObject({ rev: '-' });
  expect(markerOf(ticket({ comments: [said('c1', 2_000, 'x')] }))).toMatchObject({ rev: '-' });
});

test('an issue that is as it shall be is not touched', () => {
  const wanted = issueOf(ticket());
  expect(editOf(wanted, remote(newBody(wanted, markers)), [], markers)).toEqual({ comments: [], change: {} });
});

test('text around ours, other labels, a title and a state that others set stay', () => {
  const before = issueOf(ticket());
  const after = issueOf(
    ticket({ title: 'New', description: 'Other words', comments: [said('c1', 2_000, 'x')] }),
  );
  const theirs = remote(`above\n${newBody(before, markers)}\nbelow`, {
    title: 'Theirs',
    open: false,
    labels: ['theirs', 'type:Old', 'type::scoped'],
  });
  const { comments, change } = editOf(after, theirs, [], markers);
  expect(comments.map(({ id }) => id)).toEqual(['c1']);
  expect(change.title).toBeUndefined();
  expect(change.open).toBeUndefined();
  expect(change.labels).toEqual(['theirs', 'type::scoped', 'type:Code_Defect', 'priority:High']);
  expect(change.body).toMatch(/^above\n<!-- fossil-ticket: a{40} [^\n]*\n[^]*Other words[^]*-->\nbelow$/);
  // Ours again: then it follows.
  expect(editOf(after, { ...theirs, title: 'It breaks' }, [], markers).change.title).toBe('New');
});

test('a state is set when it changes in Fossil, and only then', () => {
  const open = issueOf(ticket());
  const closed = issueOf(ticket({ status: 'Closed' }));
  const there = remote(newBody(open, markers));
  expect(editOf(closed, there, [], markers).change.open).toBe(false);
  const closedThere = editOf(closed, there, [], markers).change.body ?? '';
  expect(editOf(closed, remote(closedThere, { open: true }), [], markers).change).toEqual({});
  expect(editOf(open, remote(closedThere, { open: false }), [], markers).change.open).toBe(true);
});

test('a comment is made once', () => {
  const wanted = issueOf(ticket({ comments: [said('c1', 2_000, 'x'), said('c2', 3_000, 'y')] }));
  const texts = [`${markers.comment(hash, 'c1')}\nx`, 'another'];
  const { comments } = editOf(wanted, remote(newBody(wanted, markers)), texts, markers);
  expect(comments.map(({ id }) => id)).toEqual(['c2']);
});

test('only a marker that was made with this key, for this repository and ticket, counts', () => {
  const body = newBody(issueOf(ticket()), markers);
  expect(markers.readTicket(body)?.ticket).toBe(hash);
  expect(markersOf(secret('other'), 'repository').readTicket(body)).toBeUndefined();
  expect(markersOf(secret('key'), 'other').readTicket(body)).toBeUndefined();
  expect(markers.readTicket(body.replaceAll(hash, 'b'.repeat(40)))).toBeUndefined();
  expect(ownPart('nothing', markers)).toBeUndefined();
});

test('the text that a ticket was made with is its description, unless it has one', () => {
  const comments = [said('c1', 1_000, 'The beginning'), said('c2', 2_000, 'Later')];
  const one = issueOf(ticket({ description: '', comments }));
  expect(one.text).toContain('The beginning');
  expect(one.comments.map(({ id }) => id)).toEqual(['c2']);
  expect(issueOf(ticket({ comments })).comments).toHaveLength(2);
});

test.each([
  ['@alice', '@\u200balice'],
  ['&#64;alice &commat;bob &#x40;eve', '@\u200balice @\u200bbob @\u200beve'],
  ['mail a@example.org', 'mail a@example.org'],
  ['fixes #12, !3', 'fixes #\u200b12, !\u200b3'],
  ['https://example.org/@x#12', 'https://example.org/@x#12'],
  ['/close', '\u200b/close'],
  ['a /path', 'a /path'],
  ['<!-- fossil-ticket: x -->', '&lt;!-- fossil-ticket: x -->'],
  ['a\u0000b', 'ab'],
])('%j in Markdown does nothing: %j', (text, harmless) => {
  expect(toMarkdown(text, 'text/x-markdown')).toBe(harmless);
});

test('no format lets a command, a mention or a marker through', () => {
  const text = 'x\n/close\n  /close\n> /close\n* /close\n@alice (@bob) #1\n<!-- x -->';
  for (const mimetype of ['', 'text/plain', 'text/html', 'text/x-markdown', 'text/x-fossil-wiki', 'other']) {
    const made = toMarkdown(text, mimetype);
    expect(made, mimetype).not.toMatch(/^[ >]*\/\w|(?<!\w)@\w|(?<![\w&])#\d|<!--/m);
  }
});

test('a title is one line, never empty, and short enough for all', () => {
  expect(toTitle('  a \n b ')).toBe('a b');
  expect(toTitle('\u0007')).toBe('(no title)');
  expect(toTitle('😀'.repeat(300)).length).toBeLessThanOrEqual(250);
  expect(toTitle('😀'.repeat(300)).isWellFormed()).toBe(true);
});

test('labels are of three kinds, and fit', () => {
  const { labels } = issueOf(ticket({ fields: { type: 'a,b\n', priority: ' ', severity: 'x'.repeat(80) } }));
  expect(labels).toEqual(['type:a b', `severity:${'x'.repeat(41)}`]);
  expect(['type:x', 'type::x', 'types:x', 'bug'].map(isOurLabel)).toEqual([true, false, false, false]);
});

test('how long a host wants to be left alone', () => {
  const now = 1_000_000_000_000;
  const until = (status: number, headers: Record<string, string>, text = '') =>
    limitedUntil({ status, headers: new Headers(headers) }, text, now);
  expect(until(429, { 'retry-after': '30' })).toBe(now + 31_000);
  expect(until(429, { 'retry-after': new Date(now + 60_000).toUTCString() })).toBe(now + 61_000);
  expect(until(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(now / 1_000 + 90) })).toBe(
    now + 91_000,
  );
  expect(until(429, { 'ratelimit-remaining': '0', 'ratelimit-reset': String(now / 1_000 + 9) })).toBe(
    now + 10_000,
  );
  expect(until(403, {}, 'You have exceeded a secondary rate limit.')).toBe(now + 60_000);
  expect(until(429, {})).toBe(now + 60_000);
  expect(until(429, { 'retry-after': '999999' })).toBe(now + 3_600_000);
  const spent = (reset: number) =>
    spentUntil(new Headers({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) }), now);
  expect(spent(now / 1_000 + 90)).toBe(now + 91_000);
  // A clock that is hours behind, here or there.
  expect(spent(now / 1_000 + 90_000)).toBe(now + 3_600_000);
  expect(until(403, {}, 'Resource not accessible by personal access token')).toBeUndefined();
  expect(until(404, { 'retry-after': '30' })).toBeUndefined();
});

test('a project and its API follow from the address', () => {
  expect(projectOf('https://github.com/me/demo.git')).toEqual({
    kind: 'github',
    path: 'me/demo',
    api: 'https://api.github.com',
  });
  expect(projectOf('git@gitlab.example.org:group/sub/demo.git')).toMatchObject({
    kind: 'gitlab',
    path: 'group/sub/demo',
    api: 'https://gitlab.example.org',
  });
  expect(projectOf('ssh://git@codeberg.org:22/me/demo')).toMatchObject({
    kind: 'gitea',
    api: 'https://codeberg.org',
  });
  expect(projectOf('https://code.example.org:8443/me/demo', { kind: 'github' }).api).toBe(
    'https://code.example.org:8443/api/v3',
  );
  const api = (kind: 'gitea' | 'gitlab', api: string) =>
    projectOf('https://code.example.org/me/demo', { kind, api }).api;
  expect(api('gitea', 'https://code.example.org/git/api/v1/')).toBe('https://code.example.org/git');
  expect(api('gitlab', 'https://code.example.org/api/v4')).toBe('https://code.example.org');
  expect(() => projectOf('https://code.example.org/me/demo')).toThrow("Its name doesn't say");
  expect(() => projectOf('https://github.com/demo')).toThrow('OWNER/NAME');
  expect(() => projectOf('http://gitlab.example.org/me/demo')).toThrow('others can read it');
  expect(projectOf('http://127.0.0.1:1/me/demo', { kind: 'gitea' }).api).toBe('http://127.0.0.1:1');
});
