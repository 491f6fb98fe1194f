import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pathsUnder, programHome } from '../../src/config/paths.ts';
import { type Person, newPerson, type Shown } from './client.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { pauseManagement } from './pause.ts';
import { query } from './support/fossil-lab.ts';

let forge: TestForge;
let someone: Person;
let token: string;

beforeAll(async () => {
  forge = await startForge();
  someone = newPerson();
  token = (await forge.json<{ token: string }>('user', 'token', 'admin')).token;
});
afterAll(async () => {
  someone[Symbol.dispose]();
  await forge[Symbol.asyncDispose]();
});

const signedIn = (url: string) => url.replace('://', `://admin:${token}@`);
const place = (name: string) => join(forge.root, 'data/repos', name);
const rejected = () => readdirSync(join(forge.root, 'data/work/rejected'));
const wasAdopted = (name: string) => `adopted: ${name} was put into the folder and is now private`;
/** How often the log says something. */
const logged = (text: string) => forge.log().split(text).length - 1;
const events = async () => (await forge.cli('--json', 'status')).stdout;

/** A program of the server's user: in a test as root nobody answers the loop's requests for another owner. */
const asServer = (...argv: string[]) => {
  const said = spawnSync('setpriv', ['--reuid=24001', '--regid=24001', '--clear-groups', '--', ...argv], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: '/tmp', USER: 'root', FOSSIL_HOME: forge.root },
  });
  if (said.status !== 0) throw new Error(said.stderr);
};

/** A new repository outside the folder, readable for the server's user. */
const make = (name: string): string => {
  const file = join(forge.root, name);
  asServer('fossil', 'init', '--admin-user', 'root', file);
  return file;
};

/** What the loop does with strangers when they have stayed as they are for so long, in milliseconds. */
function settleIn(later: number): void {
  const script = `
    import { alone, withForge } from '${source('forge.ts')}';
    import { adoptStrangers, findStrangers } from '${source('jobs/adopt.ts')}';
    await withForge({ root: process.argv[1], json: false }, (forge) =>
      alone(forge, () => adoptStrangers(forge, findStrangers(forge), Date.now() + ${later})));`;
  const said = spawnSync(process.execPath, ['--input-type=module', '-e', script, forge.root], {
    encoding: 'utf8',
  });
  expect(said.stderr).toBe('');
}

const source = (file: string) => join(programHome, 'src', file);

/** Until a name is served, private and in the replica. @returns how it is, and how long it took in milliseconds */
async function adopted(name: string): Promise<Shown> {
  const took = await eventually(
    async () => {
      const said = await forge.cli('--json', 'repo', 'show', name);
      return said.code === 0 && (JSON.parse(said.stdout) as { replicated: boolean }).replicated;
    },
    10_000,
    `${name} is adopted`,
  );
  process.stdout.write(`${name} was adopted within ${Math.round(took)} ms\n`);
  expect(took).toBeLessThan(5_000);
  const shown = await forge.json<Shown>('repo', 'show', name);
  expect(shown).toMatchObject({ visibility: 'private' });
  expect(shown.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(await someone.canClone(shown.cloneUrl)).toBe(false);
  expect(await someone.canClone(signedIn(shown.cloneUrl))).toBe(true);
  expect(query(shown.path, "SELECT login FROM user WHERE cap GLOB '*[as]*'")).toEqual([]);
  expect(await forge.cli('backup', 'now', name)).toMatchObject({ code: 0 });
  return shown;
}

describe('what is put into the folder is served, private and in the replica within 5 s', () => {
  test('by fossil init', async () => {
    asServer('fossil', 'init', '--admin-user', 'root', place('by-init.fossil'));
    const shown = await adopted('by-init');
    expect(query(shown.path, "SELECT login FROM user WHERE pw <> '' AND login <> 'admin'")).toEqual([]);
    expect(await events()).toContain('by-init was put into the folder');
    await eventually(() => logged(wasAdopted('by-init')) === 1, 10_000, 'the log says so');
  });

  test('by cp and by mv', async () => {
    const file = make('source.fossil');
    asServer('cp', file, place('by-cp.fossil'));
    const copy = await adopted('by-cp');
    renameSync(file, place('by-mv.fossil'));
    expect((await adopted('by-mv')).id).not.toBe(copy.id);
  });

  test('in pieces: not before the last one', async () => {
    const content = readFileSync(make('slow-source.fossil'));
    const to = place('slow.fossil');
    asServer('touch', to);
    for (let at = 0; at < content.length; at += 60_000) {
      appendFileSync(to, content.subarray(at, at + 60_000));
      expect((await forge.cli('repo', 'show', 'slow')).code).toBe(1);
      await sleep(2_500);
    }
    await adopted('slow');
  });

  test('in WAL mode with its log', async () => {
    const file = make('wal-source.fossil');
    // A reader keeps the log from being put into the file.
    query(file, 'PRAGMA journal_mode = WAL');
    const script = `import { DatabaseSync } from 'node:sqlite'; const d = new DatabaseSync(process.argv[1]);
      d.exec("INSERT INTO config(name, value, mtime) VALUES ('project-description', 'in the log', 0)"); process.kill(process.pid, 'SIGKILL');`;
    spawnSync(process.execPath, ['--input-type=module', '-e', script, file]);
    expect(existsSync(`${file}-wal`)).toBe(true);
    for (const suffix of ['-wal', '']) {
      asServer('cp', file + suffix, place(`wal.fossil${suffix}`));
    }
    expect(await adopted('wal')).toMatchObject({ description: 'in the log' });
  });

  test('a copy of one that is here gets an id of its own', async () => {
    const first = await forge.json<Shown>('repo', 'create', 'original');
    await forge.cli('backup', 'now', 'original');
    asServer('sqlite3', first.path, `.backup ${place('copy.fossil')}`);
    const copy = await adopted('copy');
    expect(copy.id).not.toBe(first.id);
    expect(await forge.json('repo', 'show', 'original')).toMatchObject({ id: first.id });
  });

  test('while the management part is stopped: when it is back', async () => {
    const pid = forge.pidOf('management');
    process.kill(pid, 'SIGSTOP');
    asServer('fossil', 'init', '--admin-user', 'root', place('meanwhile.fossil'));
    await sleep(1_500);
    process.kill(pid, 'SIGKILL');
    await eventually(() => forge.pidOf('management') !== pid, 10_000, 'it is restarted');
    await adopted('meanwhile');
    await eventually(() => logged(wasAdopted('meanwhile')) === 1, 10_000, 'the log says so');
    // What was said before the restart is not said again.
    for (const name of ['by-init', 'by-cp', 'copy']) expect(logged(wasAdopted(name)), name).toBe(1);
  });
});

describe('what can never be served', () => {
  test('is moved away and told, and never answered for', async () => {
    const good = make('good.fossil');
    const secret = join(forge.root, 'secret');
    writeFileSync(secret, 'hush');
    symlinkSync(good, place('link.fossil'));
    // Only root can move it.
    mkdirSync(place('a-folder.fossil'));
    symlinkSync(secret, place('plain-link'));
    asServer('cp', good, place('Upper Case.fossil'));
    asServer('cp', good, place('timeline.fossil'));
    asServer('cp', good, place('www.fossil'));
    asServer('cp', good, place('.hidden.fossil'));
    asServer('sh', '-c', `echo '<html>' > '${place('page.fossil')}'`);
    asServer('sh', '-c', `head -c 9000 '${good}' > '${place('cut.fossil')}'`);
    const names = [
      'link.fossil',
      'plain-link',
      'Upper Case.fossil',
      'timeline.fossil',
      'www.fossil',
      '.hidden.fossil',
    ];
    await eventually(() => names.every((name) => !existsSync(place(name))), 8_000, 'moved away');
    const told = await events();
    for (const name of ['timeline', 'www']) expect(told).toContain(`${name}.fossil was moved to`);
    for (const name of names) expect(rejected().some((one) => one.endsWith(`-${name}`))).toBe(true);
    expect(readFileSync(secret, 'utf8')).toBe('hush');
    expect(existsSync(good)).toBe(true);
    for (const name of ['link', 'page', 'cut', 'timeline']) {
      expect((await fetch(`http://${name}.localhost:${forge.ports.http}/`)).status).toBe(404);
      expect(existsSync(join(forge.root, 'data/routes', name))).toBe(false);
    }
    // What is no repository may still become one.
    expect(existsSync(place('page.fossil'))).toBe(true);
    await eventually(
      () => !existsSync(place('page.fossil')) && !existsSync(place('cut.fossil')),
      45_000,
      'moved away after a while',
    );
    expect(await events()).toContain('cut.fossil was moved to');
    const isNamed = async () => (await forge.cli('status')).stdout.includes('a-folder.fossil was put into');
    await eventually(isNamed, 10_000, 'the folder is named');
    rmdirSync(place('a-folder.fossil'));
    await eventually(async () => (await forge.cli('status')).code === 0, 10_000, 'all is well');
    await eventually(() => logged('rejected: cut.fossil was moved to') === 1, 10_000, 'the log says so');
  });

  test('nor what is left of a copy, after ten minutes: not before, and nothing of what is served', async () => {
    const { path } = await forge.json<Shown>('repo', 'create', 'in-use');
    asServer('touch', place('gone.fossil-wal'), place('.copied.fossil.Xa8uQz'), place('notes-wal'));
    const before = readdirSync(join(forge.root, 'data/repos'));
    expect(before).toContain('in-use.fossil-wal');
    await sleep(4_000);
    expect(readdirSync(join(forge.root, 'data/repos')).sort()).toEqual(before.sort());
    settleIn(11 * 60_000);
    for (const name of ['gone.fossil-wal', '.copied.fossil.Xa8uQz', 'notes-wal']) {
      expect(existsSync(place(name)), name).toBe(false);
      expect(rejected().some((one) => one.endsWith(`-${name}`))).toBe(true);
    }
    expect(await events()).toContain('the repository that it belongs to is not here');
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(readdirSync(join(forge.root, 'data/repos'))).toContain('.in-use.fossil-litestream');
    expect((await forge.cli('status')).code).toBe(0);
  });

  test('a folder is told and left as it is', async () => {
    asServer('mkdir', place('team'));
    const told = async () =>
      (await forge.cli('status')).stdout.includes('team is a folder among the repositories');
    await eventually(told, 20_000, 'the folder is told');
    expect(existsSync(place('team'))).toBe(true);
    asServer('rmdir', place('team'));
    await eventually(async () => !(await told()), 20_000, 'nothing to tell any more');
  });

  test('does not keep others from being adopted', async () => {
    asServer('ln', make('two-names.fossil'), place('linked.fossil'));
    const broken = make('broken.fossil');
    const content = readFileSync(broken);
    content.fill(0xff, 4096 * 3, 4096 * 5);
    writeFileSync(broken, content);
    asServer('cp', broken, place('broken.fossil'));
    asServer('fossil', 'init', '--admin-user', 'root', place('fine.fossil'));
    await adopted('fine');
    await eventually(() => rejected().some((name) => name.endsWith('-broken.fossil')), 40_000, 'rejected');
    expect((await forge.cli('repo', 'show', 'linked')).code).toBe(1);
  });

  test('a file whose name a killed creation holds is adopted under it', async () => {
    await forge.killed(230, 'repo', 'create', 'taken');
    const source = make('taken-source.fossil');
    if (!existsSync(place('taken.fossil'))) copyFileSync(source, place('taken.fossil'));
    spawnSync('chown', ['24001:24001', place('taken.fossil')]);
    await eventually(
      async () => (await forge.cli('repo', 'show', 'taken')).code === 0,
      10_000,
      'one of both',
    );
    expect((await forge.cli('status')).code).toBe(0);
  });
});

test("another repository's file that is put over a live name is moved away, and status says what is missing", async () => {
  await forge.json('repo', 'create', 'covered');
  asServer('mv', make('intruder.fossil'), place('covered.fossil'));
  await eventually(
    () => rejected().some((name) => name.endsWith('-covered.fossil')),
    15_000,
    'the intruder is moved away',
  );
  await eventually(
    async () => (await events()).includes('The file of covered is gone'),
    10_000,
    'status says that the file is gone',
  );
  expect(existsSync(place('covered.fossil'))).toBe(false);
  const gone = await fetch(`http://localhost:${forge.ports.repositories}/covered/index`);
  expect(gone.status).toBe(404);
});

test('a repository whose file somebody made a link is not served, and told, until the file is back', async () => {
  const { path } = await forge.json<Shown>('repo', 'create', 'astray');
  const page = async () => (await fetch(`http://localhost:${forge.ports.repositories}/astray/index`)).status;
  const elsewhere = join(forge.root, 'elsewhere.fossil');
  asServer('mv', path, elsewhere);
  asServer('ln', '-s', elsewhere, path);
  const isTold = async () => (await events()).includes('The file of astray is a link, and is not served');
  await eventually(isTold, 15_000, 'it is told');
  await eventually(async () => (await page()) === 404, 10_000, 'it is not served');
  asServer('rm', path);
  asServer('mv', elsewhere, path);
  await eventually(async () => (await page()) !== 404, 15_000, 'it is served again');
  await eventually(async () => !(await isTold()), 10_000, 'nothing is told any more');
});

test('what is in the way of a rename that was killed is told until it is gone; a file is moved away by itself', async () => {
  const { id, path } = await forge.json<Shown>('repo', 'create', 'before');
  const code = query(path, "SELECT value FROM config WHERE name = 'project-code'");
  const goOn = await pauseManagement(forge);
  const rename = `UPDATE repository SET name = 'after' WHERE id = '${id}' RETURNING 1`;
  expect(query(pathsUnder(forge.root).database, rename)).toHaveLength(1);
  asServer('mkdir', place('after.fossil'));
  goOn();
  const isTold = async () => (await events()).includes("A command on after was begun and can't be finished");
  await eventually(isTold, 20_000, 'it is told');
  // Between its tries, too.
  for (let look = 0; look < 5; look++) {
    await sleep(1_000);
    expect(await isTold()).toBe(true);
  }
  asServer('rmdir', place('after.fossil'));
  asServer('mv', make('in-the-way.fossil'), place('after.fossil'));
  await eventually(
    () => rejected().some((name) => name.endsWith('-after.fossil')),
    20_000,
    'what is in the way is moved away',
  );
  await eventually(async () => !(await isTold()), 60_000, 'the rename is finished');
  expect(query(place('after.fossil'), "SELECT value FROM config WHERE name = 'project-code'")).toEqual(code);
});
