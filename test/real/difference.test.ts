import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fossilEnvironment } from '../../src/programs/fossil.ts';
import { describeDifference } from '../../src/repos/contents/describe-difference.ts';
import { type Difference, differenceOf } from '../../src/repos/contents/difference.ts';
import { lastReceipt, newerThan } from '../../src/repos/contents/receipts.ts';
import { openSnapshot } from '../../src/repos/contents/snapshot.ts';
import { summaryOf } from '../../src/repos/contents/summary.ts';
import { run } from '../../src/system/run.ts';
import { initRepository, query, type Served, serve } from './support/fossil-lab.ts';

const folder = mkdtempSync(join(tmpdir(), 'difference-'));
const home = join(folder, 'home');
const repos = join(folder, 'repos');
const live = join(repos, 'demo.fossil');
const checkout = join(folder, 'checkout');
const early = join(folder, 'early.fossil');
const late = join(folder, 'late.fossil');
const secret = 'correct-horse-battery';
/** Right-to-left override, a terminal's red, quotes: what must not reach a terminal, and what may. */
const odd = `say "hi" \u001b[31mred\u202e \u0007bell`;
let served: Served;
let cookie: string;

const fossil = (...args: string[]) =>
  run({ argv: ['fossil', ...args], cwd: checkout, env: { ...fossilEnvironment(home), USER: 'admin' } });
const inRepository = (...args: string[]) => fossil(...args, '-R', live);
const put = (name: string, content: string): string => {
  const file = join(checkout, name);
  writeFileSync(file, content);
  return file;
};
async function commit(name: string, comment: string, ...options: string[]): Promise<void> {
  put(name, `${comment.length} ${Math.random()}\n`);
  const message = join(folder, 'message');
  writeFileSync(message, comment);
  await fossil('add', name);
  await fossil('commit', '-M', message, '--no-warnings', '--allow-fork', ...options);
}
const tamper = (file: string, sql: string): void => {
  using database = new DatabaseSync(file, { defensive: false, enableForeignKeyConstraints: false });
  database.exec(sql);
};
/** Sends a form of the forum. @returns the new post's hash, as far as the address says it */
async function post(page: string, fields: Record<string, string>): Promise<string> {
  const url = `http://127.0.0.1:${served.port}/demo/${page}`;
  // Fossil 2.26 wants its token, 2.21 has none in its forms.
  const form = await (
    await fetch(`http://127.0.0.1:${served.port}/demo/forume1`, { headers: { cookie } })
  ).text();
  const [, csrf = ''] = /name="csrf" value="([^"]*)"/.exec(form) ?? [];
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { referer: url, cookie },
    body: new URLSearchParams({ mimetype: 'text/x-markdown', submit: 'Submit', csrf, ...fields }),
  });
  const [hash] = /[0-9a-f]{10,}$/.exec(response.headers.get('location') ?? '') ?? [];
  if (hash === undefined) throw new Error(`${page}: ${response.status} ${await response.text()}`);
  return hash;
}
/** What differs, in short: `lost checkins: title`. */
function inShort({ kinds }: Difference): string[] {
  return Object.entries(kinds).flatMap(([kind, changes]) =>
    Object.entries(changes).flatMap(([verb, { count, items }]) => {
      expect(items).toHaveLength(count);
      return items
        .map(({ id, title, change }) => [`${verb} ${kind}:`, title ?? id, ...(change ? [`(${change})`] : [])])
        .map((words) => words.join(' '))
        .sort();
    }),
  );
}

let ticket: string;
let receipt: number;

beforeAll(async () => {
  for (const path of [repos, checkout]) mkdirSync(path);
  await initRepository(live, home);
  tamper(live, "UPDATE user SET pw = 'pw', cap = 'sy' WHERE login = 'admin'");
  served = await serve(repos, home);
  cookie = await served.signIn(`http://127.0.0.1:${served.port}/demo`, 'admin', 'pw');
  await fossil('open', live, '--nosync', '--force');
  await fossil('settings', 'autosync', 'off');

  await commit('a.txt', 'first');
  await commit('b.txt', 'on the side', '--branch', 'side');
  await commit('c.txt', 'will be edited');
  await fossil('update', 'trunk');
  await inRepository('ticket', 'add', 'title', 'It crashes', 'status', 'Open');
  await inRepository('ticket', 'add', 'title', 'It stays', 'status', 'Open');
  ticket = String(query(live, "SELECT tkt_uuid AS id FROM ticket WHERE title = 'It crashes'")[0]?.['id']);
  for (const page of ['Home', 'Old', 'Same'])
    await inRepository('wiki', 'create', page, put('page', `${page} 1`));
  await inRepository('wiki', 'create', 'A note', put('page', 'text'), '-t', '2026-01-02 03:04:05');
  for (const name of ['kept.bin', 'changed.bin', 'removed.bin'])
    await inRepository('uv', 'add', put(name, name), '--as', `files/${name}`);
  await inRepository('attachment', 'add', 'Home', put('picture.png', 'old'));
  tamper(
    live,
    `REPLACE INTO config VALUES ('timeline-utc', '1', 0), ('email-self', 'x', 0), ('ssh-command', '${secret}', 0);
     INSERT INTO user(login, cap) VALUES ('dev', 'v'), ('leaver', 'o')`,
  );
  const thread = await post('forume1', { title: 'Welcome', content: 'hello' });
  const reply = await post('forume2', { fpid: thread, reply: '1', content: 'thanks' });
  await fossil('tag', 'add', 'v1', 'trunk', '-R', live);
  copyFileSync(live, early);
  receipt = lastReceipt(live);

  await commit('f.txt', `${odd}\nsecond line`);
  await commit('d.txt', `huge ${'x'.repeat(1_000_000)}`);
  await commit('e.txt', 'to be spoilt');
  tamper(live, "UPDATE event SET comment = CAST(x'6e6f74ff20757466' AS TEXT) WHERE comment = 'to be spoilt'");
  await fossil('amend', 'side', '-m', 'edited', '-R', live);
  await fossil('branch', 'close', 'side', '-R', live);
  await fossil('branch', 'new', 'topic', 'trunk', '-R', live);
  await fossil('tag', 'add', 'v2', 'trunk', '-R', live);
  await inRepository('ticket', 'set', ticket, 'status', 'Review');
  await inRepository('ticket', 'set', ticket, 'status', 'Closed');
  await inRepository('ticket', 'add', 'title', 'A new one', 'status', 'Open');
  await inRepository('wiki', 'commit', 'Home', put('page', 'Home 2'));
  await inRepository('wiki', 'commit', 'Old', put('page', ''));
  await inRepository('wiki', 'create', "It's new; 100%", put('page', 'New 1'));
  await inRepository('wiki', 'create', 'Another note', put('page', 'text'), '-t', '2026-02-03 04:05:06');
  await inRepository('uv', 'add', put('changed.bin', 'other content'), '--as', 'files/changed.bin');
  await inRepository('uv', 'add', put('new.bin', 'n'), '--as', 'files/new.bin');
  await inRepository('uv', 'remove', 'files/removed.bin');
  await inRepository('attachment', 'add', 'Home', put('picture.png', 'new'));
  tamper(
    live,
    `REPLACE INTO config VALUES ('timeline-utc', '0', 0), ('th1-setup', '${secret}', 0), ('baseurl:http://x', 1, 0),
       ('cfgcnt', '99', 0), ('token-${secret}', '{}', 0), ('fossilrepo-aside:header', 'x', 0);
     DELETE FROM config WHERE name = 'email-self';
     UPDATE user SET cap = 'vi' WHERE login = 'dev';
     DELETE FROM user WHERE login = 'leaver';
     INSERT INTO user(login, cap) VALUES ('joiner', 'o');`,
  );
  await post('forume2', { fpid: reply, edit: '1', content: 'thanks a lot' });
  await post('forume1', { title: 'Second thread', content: 'again' });
  copyFileSync(live, late);
}, 120_000);
afterAll(async () => {
  await served.stop();
  rmSync(folder, { recursive: true });
});

const shownOdd = 'say "hi" [31mred bell';
const hugeTitle = `huge ${'x'.repeat(114)}…`;

describe('two states of one repository', () => {
  test('going back loses exactly what was done, and brings back what was taken away', () => {
    const difference = differenceOf(late, early);
    expect(inShort(difference)).toEqual([
      'lost checkins: Create new branch named "topic"',
      `lost checkins: ${hugeTitle}`,
      'lost checkins: not\ufffd utf',
      `lost checkins: ${shownOdd}`,
      'changed checkins: edited',
      'lost tickets: A new one',
      'changed tickets: It crashes (3 → 1 change)',
      "lost wiki: It's new; 100%",
      'gained wiki: Old',
      'changed wiki: Home (2 → 1 version)',
      'lost forum: Second thread',
      'changed forum: Welcome (2 → 1 version)',
      'lost technotes: Another note',
      'changed attachments: Home/picture.png',
      'lost unversioned: files/new.bin',
      'gained unversioned: files/removed.bin',
      'changed unversioned: files/changed.bin (13 → 11 bytes)',
      'lost branches: topic',
      'changed branches: side (closed → open)',
      'lost tags: v2',
      'lost settings: fossilrepo-aside:header',
      'lost settings: th1-setup',
      'gained settings: email-self',
      'changed settings: timeline-utc',
      'lost users: joiner',
      'gained users: leaver',
      'changed users: dev (vi → v)',
    ]);
    expect(difference.same).toBe(false);
  });

  test('the other direction is its mirror image', () => {
    const back = differenceOf(late, early);
    const forth = differenceOf(early, late);
    for (const [kind, changes] of Object.entries(back.kinds)) {
      const mirrored = forth.kinds[kind as keyof typeof forth.kinds];
      expect(mirrored.gained).toEqual(changes.lost);
      expect(mirrored.lost).toEqual(changes.gained);
      expect(mirrored.changed.items.map(({ id }) => id)).toEqual(changes.changed.items.map(({ id }) => id));
    }
    expect(forth.artifacts).toMatchObject({ lost: back.artifacts.gained, gained: back.artifacts.lost });
    expect(forth.kinds.tickets.changed.items).toMatchObject([{ id: ticket, change: '1 → 3 changes' }]);
  });

  test('artifacts are counted by their hashes', () => {
    const hashes = (file: string) =>
      query(file, 'SELECT uuid FROM blob WHERE size >= 0').map(({ uuid }) => uuid);
    const before = new Set(hashes(early));
    const added = hashes(late).filter((hash) => !before.has(hash));
    const { artifacts } = differenceOf(late, early);
    expect(artifacts.lostHashes).toEqual([...added].sort());
    expect(artifacts).toMatchObject({ lost: added.length, gained: 0, lostPrivate: 0, gainedShunned: [] });
  });

  test('nothing differs between a file and its copy, whatever Fossil notes down for itself', () => {
    expect(describeDifference(differenceOf(late, live))).toBe('nothing differs');
    const copy = join(folder, 'copy.fossil');
    copyFileSync(late, copy);
    tamper(
      copy,
      `REPLACE INTO config VALUES ('backoffice', '1 2 3 4', 0), ('last-sync-url', 'https://x', 0), ('ci-lock-x', '{}', 0),
       ('captcha-secret', 'x', 0), ('gitpush:https://t:${secret}@x', '{}', 0); UPDATE config SET mtime = 7;
       UPDATE user SET cookie = 'x', mtime = 7; PRAGMA page_size = 8192; VACUUM`,
    );
    expect(differenceOf(late, copy)).toMatchObject({ same: true, artifacts: { lost: 0, gained: 0 } });
  });

  test('nor after a rebuild', async () => {
    const rebuilt = join(folder, 'rebuilt.fossil');
    copyFileSync(early, rebuilt);
    await fossil('rebuild', rebuilt);
    expect(describeDifference(differenceOf(early, rebuilt))).toBe('nothing differs');
  });

  test("no setting's value is told, and nothing that moves a terminal's cursor", () => {
    const difference = differenceOf(late, early);
    const told = describeDifference(difference) + JSON.stringify(difference);
    expect(told).toContain('th1-setup');
    expect(told).not.toContain(secret);
    expect(told.replaceAll('\n', '')).not.toMatch(/\\u00|[\p{Cc}\p{Cf}]/u);
    expect(told.length).toBeLessThan(30_000);
  });

  test('is told in lines', () => {
    const [first = '', ...others] = describeDifference(differenceOf(late, early)).split('\n');
    expect(first).toMatch(
      /^check-ins {10}4 lost: [0-9a-f]{10} "[^]*" \(admin, 20\d\d-\d\d-\d\d \d\d:\d\d UTC\)/,
    );
    expect(others).toContain('users              1 lost: joiner; 1 gained: leaver; 1 changed: dev (vi → v)');
  });

  test('it is read while somebody writes, and hinders nobody', () => {
    const busy = join(folder, 'busy.fossil');
    copyFileSync(late, busy);
    using writer = new DatabaseSync(busy);
    writer.exec("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; INSERT INTO config VALUES ('css', 'x', 0)");
    expect(differenceOf(busy, late).same).toBe(true);
    {
      using snapshot = openSnapshot(busy);
      const settings = () => [...snapshot.rows('SELECT count(*) AS n FROM config')];
      const before = settings();
      writer.exec('COMMIT');
      expect(settings()).toEqual(before);
    }
    expect(inShort(differenceOf(busy, late))).toEqual(['lost settings: css']);
  });
});

describe('what is private, shunned or no content', () => {
  test('private artifacts count as lost, phantoms do not, and what is shunned is named when it comes back', () => {
    const file = join(folder, 'shunning.fossil');
    copyFileSync(late, file);
    const hash = differenceOf(late, early).artifacts.lostHashes[0] ?? '';
    const [kept] = query(early, "SELECT uuid FROM blob JOIN event ON rid = objid WHERE type = 'w' LIMIT 1");
    tamper(
      file,
      `INSERT INTO private SELECT rid FROM blob WHERE uuid = '${hash}';
       INSERT INTO blob(rcvid, size, uuid) VALUES (0, -1, '${'f'.repeat(64)}');
       INSERT INTO shun VALUES ('${String(kept?.['uuid'])}', 0, '');
       DELETE FROM blob WHERE uuid = '${String(kept?.['uuid'])}'`,
    );
    const { artifacts, kinds } = differenceOf(file, early);
    expect(artifacts).toMatchObject({ gained: 1, lostPrivate: 1, gainedShunned: [] });
    expect(artifacts.lost).toBe(differenceOf(late, early).artifacts.lost);
    expect(kinds.shunned.lost.items).toEqual([{ id: kept?.['uuid'] }]);
    const staying = differenceOf(file, early, { shunned: new Set([String(kept?.['uuid'])]), access: false });
    expect(staying.kinds.shunned.lost.count).toBe(0);
    expect(describeDifference(staying)).toContain('(1 private), 1 gained, 1 of them shunned');
  });
});

describe('files that are not as they should be', () => {
  const spoilt = (name: string, sql: string): string => {
    const file = join(folder, `${name}.fossil`);
    copyFileSync(early, file);
    tamper(file, sql);
    return file;
  };

  test('a ticket table of the project’s own, without titles, still tells its tickets', () => {
    const sql = 'ALTER TABLE ticket RENAME COLUMN title TO headline';
    const { kinds, same } = differenceOf(late, spoilt('own', sql));
    expect(same).toBe(false);
    expect(kinds.tickets.changed.items).toMatchObject([{ id: ticket, title: 'It crashes' }]);
    expect(differenceOf(early, spoilt('own2', sql)).same).toBe(true);
  });

  test('a view instead of a table is not read', () => {
    const file = spoilt(
      'view',
      `DROP TABLE unversioned; CREATE VIEW unversioned AS
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS name, i AS hash, 1 AS sz, 1 AS mtime FROM n`,
    );
    expect(differenceOf(early, file).kinds.unversioned.lost.count).toBe(3);
  });

  test('other columns, or none of Fossil’s tables, are an error that names the file', () => {
    const other = spoilt('columns', 'ALTER TABLE tagxref RENAME COLUMN srcid TO whence');
    expect(() => differenceOf(early, other)).toThrow(/columns\.fossil has other tables than Fossil makes/);
    expect(() => differenceOf(early, spoilt('none', 'DROP TABLE event'))).toThrow(
      'not a complete Fossil repository',
    );
    expect(() => differenceOf(join(folder, 'missing.fossil'), early)).toThrow('is not there');
    expect(() => summaryOf(join(folder, 'missing.fossil'))).toThrow('is not there');
  });

  test('sizes, times and numbers beyond all measure are read', () => {
    const beyond = spoilt(
      'beyond',
      `UPDATE unversioned SET sz = 9223372036854775807, mtime = -9223372036854775807 WHERE name = 'files/kept.bin';
       UPDATE event SET mtime = 9e300 WHERE type = 'ci'; UPDATE rcvfrom SET mtime = 9223372036854775807`,
    );
    const { kinds } = differenceOf(beyond, late);
    expect(kinds.checkins.changed.count).toBe(summaryOf(early).checkins);
    expect(kinds.checkins.changed.items[0]).not.toHaveProperty('at');
    expect(newerThan(beyond, 0).items).toHaveLength(newerThan(early, 0).items.length);
  });

  test('who may do what stays at a restore: then only logins that come or go are told', () => {
    const stays = { shunned: new Set<string>(), access: true };
    const gone = spoilt('gone', "INSERT INTO user(login, cap) VALUES ('former', '')");
    const users = (present: string) =>
      inShort(differenceOf(present, early, stays)).filter((line) => line.includes('users'));
    expect(users(gone)).toEqual(['lost users: former']);
    expect(users(late)).toEqual(['gained users: leaver']);
  });

  test('names that are not text are told apart', () => {
    const one = spoilt('bytes1', "INSERT INTO user(login, cap) VALUES (CAST(x'61ff' AS TEXT), 'o')");
    const two = spoilt('bytes2', "INSERT INTO user(login, cap) VALUES (CAST(x'61fe' AS TEXT), 'o')");
    expect(inShort(differenceOf(one, two))).toEqual(['lost users: a\ufffd', 'gained users: a\ufffd']);
  });
});

describe('counts', () => {
  test('are what Fossil says there is', async () => {
    const summary = summaryOf(late);
    const lines = async (...args: string[]) => (await inRepository(...args)).stdout.trim().split('\n');
    expect(summary).toMatchObject({
      checkins: query(late, "SELECT count(*) AS n FROM event WHERE type = 'ci'")[0]?.['n'],
      tickets: query(late, 'SELECT count(*) AS n FROM ticket')[0]?.['n'],
      wiki: (await lines('wiki', 'list')).length,
      technotes: (await lines('wiki', 'list', '-t')).length,
      unversioned: (await lines('uv', 'list')).length,
      branches: (await lines('branch', 'list', '-a')).length,
      forum: 3,
      attachments: 1,
      users: query(late, 'SELECT count(*) AS n FROM user')[0]?.['n'],
      artifacts: query(late, 'SELECT count(*) AS n FROM blob WHERE size >= 0')[0]?.['n'],
      chat: 0,
      shunned: 0,
      reports: 1,
    });
    expect(summary).toMatchObject({
      checkins: 8,
      tickets: 3,
      wiki: 3,
      technotes: 2,
      unversioned: 3,
      branches: 3,
    });
  });

  test('follow from the difference', () => {
    const before = summaryOf(early);
    const after = summaryOf(late);
    for (const [kind, { lost, gained }] of Object.entries(differenceOf(late, early).kinds)) {
      const key = kind as keyof typeof before;
      expect(after[key] - before[key], kind).toBe(lost.count - gained.count);
    }
  });
});

describe('what came after a receipt', () => {
  test('is everything that was pushed or edited since, and who did it', () => {
    const newer = newerThan(late, receipt);
    const of = (kind: string) => newer.items.filter((item) => item.kind === kind);
    expect(newer.checkins).toBe(4);
    expect(newer.items).toHaveLength(newer.checkins + newer.other);
    expect(of('ticket change')).toHaveLength(3);
    expect(of('forum post').map(({ title }) => title)).toEqual([
      'Post: Second thread',
      'Edit reply: Welcome',
    ]);
    expect(of('unversioned file')).toMatchObject([{ id: 'files/new.bin' }, { id: 'files/changed.bin' }]);
    expect(newer.artifacts).toBe(differenceOf(late, early).artifacts.lost);
    expect(newer.receipts.every(({ rcvid, who }) => rcvid > receipt && who === 'admin')).toBe(true);
    expect(newer.receipts.reduce((sum, one) => sum + one.artifacts, 0)).toBe(newer.artifacts);
  });

  test('names who pushed, and files that a push took away', async () => {
    const before = lastReceipt(live);
    const clone = join(folder, 'clone.fossil');
    const url = `http://admin:pw@127.0.0.1:${served.port}/demo`;
    await fossil('clone', url, clone, '--unversioned', '--admin-user', 'admin');
    // Whichever is newer wins, by the second.
    const soon = new Date(Date.now() + 60_000).toISOString().slice(0, 19);
    await fossil('uv', 'remove', 'files/kept.bin', '--mtime', soon, '-R', clone);
    await fossil('wiki', 'create', 'Pushed', put('page', 'pushed'), '-R', clone);
    expect(lastReceipt(live)).toBe(before);
    await fossil('push', url, '-R', clone);
    await fossil('uv', 'sync', url, '-R', clone);
    const newer = newerThan(live, before);
    expect(newer).toMatchObject({
      checkins: 0,
      other: 2,
      items: [
        { kind: 'unversioned file', id: 'files/kept.bin', title: 'deleted' },
        { kind: 'wiki edit', title: '+Pushed', who: 'admin' },
      ],
    });
    expect(newer.receipts).toMatchObject([
      { who: 'admin', artifacts: 0, unversioned: 1 },
      { who: 'admin', unversioned: 0 },
    ]);
    expect(lastReceipt(live)).toBe(newer.receipts[0]?.rcvid);
  });

  test('is nothing where nothing came', () => {
    expect(newerThan(early, lastReceipt(early))).toEqual({
      checkins: 0,
      other: 0,
      artifacts: 0,
      items: [],
      receipts: [],
    });
  });
});
