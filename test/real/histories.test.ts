import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programHome } from '../../src/config/paths.ts';
import { fossilEnvironment } from '../../src/programs/fossil.ts';
import { run } from '../../src/system/run.ts';
import { eventually, startForge, type TestForge } from './forge.ts';
import { startS3, type S3 } from './s3.ts';

/** A history as `git fast-import` reads it: many check-ins by several people, binary files, odd names, branches and tags. */
function scriptedHistory(checkins: number): Buffer {
  const parts: Buffer[] = [];
  const write = (text: string | Buffer) => parts.push(Buffer.isBuffer(text) ? text : Buffer.from(text));
  const data = (content: Buffer) => {
    write(`data ${content.length}\n`);
    write(content);
    write('\n');
  };
  const names = [
    'readme.txt',
    'dir/c++ x/a+b 100%.txt',
    'größe/naïve.md',
    'deep/1/2/3/4/5/6/leaf',
    "it's (fine) [really]",
  ];
  for (let index = 1; index <= checkins; index++) {
    const branch = index % 500 === 0 ? `side-${index / 500}` : 'master';
    write(`commit refs/heads/${branch}\nmark :${index}\n`);
    write(`committer Person ${index % 7} <p${index % 7}@example.com> ${1_600_000_000 + index * 60} +0000\n`);
    data(Buffer.from(`Check-in ${index}: ${index % 3 === 0 ? 'größer' : 'plain'}\n`));
    if (index > 1) write(`from :${index - 1}\n`);
    write(`M 100644 inline ${names[index % names.length] ?? 'x'}\n`);
    data(Buffer.from(`line ${index}\n`.repeat(1 + (index % 40))));
    if (index % 50 === 0) {
      write(`M 100755 inline bin/tool-${index}\n`);
      data(createHash('sha512').update(String(index)).digest());
    }
    if (index % 1000 === 0) write(`reset refs/tags/v${index / 1000}\nfrom :${index}\n`);
  }
  return Buffer.concat(parts);
}

const count = (file: string, sql: string): number => {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  } finally {
    database.close();
  }
};
const artifacts = (file: string): string[] => {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database
      .prepare('SELECT uuid FROM blob WHERE size >= 0 ORDER BY uuid')
      .all()
      .map((row) => String(row['uuid']));
  } finally {
    database.close();
  }
};

describe('real histories', () => {
  let forge: TestForge;
  let s3: S3;
  let work: string;

  const environment = () => fossilEnvironment(work);
  const importGit = async (stream: Buffer, name: string): Promise<string> => {
    const file = join(work, `${name}.fossil`);
    writeFileSync(join(work, `${name}.stream`), stream);
    // The stream is not text: a shell hands it over byte by byte.
    await run({
      argv: ['sh', '-c', 'exec fossil import --git "$1" <"$2"', 'sh', file, join(work, `${name}.stream`)],
      env: environment(),
    });
    return file;
  };

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'histories-'));
    chmodSync(work, 0o755);
    s3 = await startS3();
    forge = await startForge({ s3 });
  }, 120_000);
  afterAll(async () => {
    await forge[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  });

  test('3,000 scripted check-ins arrive whole, in the forge and in the replica', async () => {
    const file = await importGit(scriptedHistory(3_000), 'scripted');
    const wanted = artifacts(file);
    const shown = await forge.json<{ id: string; path: string; checkins: number }>(
      'repo',
      'create',
      'scripted',
      '--from',
      file,
      '--visibility',
      'public',
    );
    expect(shown.checkins).toBe(3_000);
    expect(artifacts(shown.path)).toEqual(wanted);
    const verified = await forge.json<{ results: { ok: boolean; artifacts: number }[] }>(
      'repo',
      'verify',
      'scripted',
    );
    expect(verified.results).toMatchObject([{ ok: true, artifacts: wanted.length }]);
  });

  // An unpacked archive has none.
  const inCheckout = existsSync(join(programHome, '.git'));
  test.runIf(inCheckout)("this project's own history, cloned by a stranger, is the same", async () => {
    const exported = join(work, 'own.stream');
    await run({
      argv: ['sh', '-c', 'exec git -C "$1" fast-export --all >"$2"', 'sh', programHome, exported],
    });
    const file = await importGit(readFileSync(exported), 'own');
    await forge.json('repo', 'create', 'own', '--from', file, '--visibility', 'public');
    const clone = join(work, 'own-clone.fossil');
    await run({
      argv: [
        'fossil',
        'clone',
        `http://localhost:${forge.ports.repositories}/own`,
        clone,
        '--admin-user',
        'fossilrepo',
      ],
      env: environment(),
    });
    expect(artifacts(clone)).toEqual(artifacts(file));
    expect(count(clone, "SELECT count(*) FROM event WHERE type = 'ci'")).toBeGreaterThan(0);
  });

  test('a repository brought from an address keeps its wiki, tickets and unversioned files', async () => {
    const source = join(forge.root, 'data/repos/scripted.fossil');
    const clone = join(work, 'rich.fossil');
    const address = `http://localhost:${forge.ports.repositories}/scripted`;
    await run({
      argv: ['fossil', 'clone', address, clone, '--admin-user', 'fossilrepo'],
      env: environment(),
    });
    const checkout = join(work, 'checkout');
    mkdirSync(checkout);
    const fossil = (...args: string[]) =>
      run({ argv: ['fossil', ...args], env: environment(), cwd: checkout });
    await fossil('open', clone);
    writeFileSync(join(checkout, 'page.md'), 'A page\n');
    await fossil('wiki', 'create', 'Page', 'page.md');
    await fossil('ticket', 'add', 'title', 'A ticket', 'status', 'Open');
    await fossil('uv', 'add', 'page.md', '--as', 'downloads/page.md');
    await fossil('close');
    const shown = await forge.json<{ path: string }>('repo', 'create', 'rich', '--from', clone);
    expect(count(shown.path, "SELECT count(*) FROM tag WHERE tagname = 'wiki-Page'")).toBe(1);
    expect(count(shown.path, 'SELECT count(*) FROM ticket')).toBe(1);
    expect(count(shown.path, 'SELECT count(*) FROM unversioned WHERE sz > 0')).toBe(1);
    expect(count(source, "SELECT count(*) FROM tag WHERE tagname = 'wiki-Page'")).toBe(0);
  });

  test('everything so far is in the replica, and status says so', async () => {
    await forge.json('backup', 'now');
    await eventually(async () => (await forge.cli('status')).code === 0, 20_000, 'status is green');
  });
});
