import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { query } from './fossil-lab.ts';
import type { Remote } from './git-remote.ts';

/**
 * Compares a Git repository with the Fossil one that it was imported into, by what git and Fossil themselves tell: every commit is exactly one
 * check-in with the same parents, paths, modes and contents, and there is no other. @returns the differences, a line each
 * @param options.every compares only the trees of each so-manieth commit
 * @param options.altered paths whose content may differ @param options.others check-ins that are Fossil's own
 */
export function differences(
  remote: Remote,
  file: string,
  marks: ReadonlyMap<string, string>,
  options: { altered?: readonly string[]; others?: number; every?: number } = {},
): string[] {
  const wrong: string[] = [];
  const commits = remote
    .git('rev-list', '--parents', '--branches', '--tags')
    .split('\n')
    .map((line) => line.split(' '));
  const looked = commits.filter((_, index) => index % (options.every ?? 1) === 0);
  const trees = new Set(looked.map(([hash]) => hash));
  const checkins = query(file, "SELECT uuid FROM event JOIN blob ON rid = objid WHERE type = 'ci'");
  if (new Set(marks.values()).size !== marks.size) wrong.push('two commits are one check-in');
  if (checkins.length !== marks.size + (options.others ?? 0))
    wrong.push(`${checkins.length} check-ins for ${marks.size} commits`);
  const parents = Map.groupBy(
    query(
      file,
      'SELECT c.uuid AS child, p.uuid AS parent FROM plink JOIN blob c ON c.rid = cid JOIN blob p ON p.rid = pid ORDER BY isprim DESC, p.rid',
    ),
    (row) => String(row['child']),
  );
  const objects = objectsOf(remote);
  const fossil = treesOf(
    file,
    looked.flatMap(([hash = '']) => marks.get(hash) ?? []),
  );
  for (const [hash = '', ...before] of commits) {
    const checkin = marks.get(hash);
    if (checkin === undefined) {
      wrong.push(`${hash} has no check-in`);
      continue;
    }
    const has = (parents.get(checkin) ?? []).map((row) => String(row['parent']));
    const wanted = before.map((parent) => marks.get(parent) ?? '?');
    if (has[0] !== wanted[0] || [...has].sort().join() !== [...wanted].sort().join())
      wrong.push(`${hash} has other parents`);
    if (!trees.has(hash)) continue;
    const line = ({ path, flag, blob }: Listed): string =>
      `${path} ${flag} ${(options.altered ?? []).includes(path) ? '*' : blob}`;
    const inGit = filesIn(objects, objects.roots.get(hash) ?? '')
      .map(line)
      .sort();
    const inFossil = (fossil.get(checkin) ?? [])
      .map(({ sum, ...file }) => line({ ...file, blob: objects.blobs.get(sum) ?? sum }))
      .sort();
    if (inGit.join('\n') !== inFossil.join('\n'))
      wrong.push(`${hash} has another tree:\n${inGit.join('\n')}\n--\n${inFossil.join('\n')}`);
  }
  return wrong;
}

/** A file of a tree: its path as bytes, each a character; `x`, `l` or `-`; and what its content is called in Git. */
type Listed = { path: string; flag: string; blob: string };

type Objects = {
  /** What a content is called in Git, by its SHA1 and its SHA3. */
  blobs: Map<string, string>;
  trees: Map<string, { mode: string; name: string; hash: string }[]>;
  /** The tree of each commit. */
  roots: Map<string, string>;
};

/** All that a Git repository holds. */
function objectsOf(remote: Remote): Objects {
  const all = remote.raw(['cat-file', '--batch', '--batch-all-objects', '--buffer']);
  const found: Objects = { blobs: new Map(), trees: new Map(), roots: new Map() };
  for (let from = 0; from < all.length;) {
    const end = all.indexOf('\n', from);
    const [hash = '', type, size] = all.toString('latin1', from, end).split(' ');
    const content = all.subarray(end + 1, end + 1 + Number(size));
    if (type === 'blob')
      for (const sum of ['sha1', 'sha3-256'])
        found.blobs.set(createHash(sum).update(content).digest('hex'), hash);
    if (type === 'tree') found.trees.set(hash, entriesOf(content));
    if (type === 'commit') found.roots.set(hash, content.toString('latin1', 5, 45));
    from = end + 1 + Number(size) + 1;
  }
  return found;
}

/** A tree as Git stores it: `MODE NAME`, a zero, twenty bytes of hash. */
function entriesOf(tree: Buffer) {
  const entries: { mode: string; name: string; hash: string }[] = [];
  for (let from = 0; from < tree.length;) {
    const end = tree.indexOf(0, from);
    const [mode = '', name = ''] = tree.toString('latin1', from, end).split(/ (.*)/s);
    entries.push({ mode, name, hash: tree.toString('hex', end + 1, end + 21) });
    from = end + 21;
  }
  return entries;
}

/** Every file of a tree; other repositories in it are none. */
function filesIn(objects: Objects, tree: string, folder = ''): Listed[] {
  return (objects.trees.get(tree) ?? []).flatMap(({ mode, name, hash }) => {
    const path = `${folder}${name}`;
    if (mode === '40000') return filesIn(objects, hash, `${path}/`);
    if (mode === '160000') return [];
    return [{ path, flag: mode === '120000' ? 'l' : mode === '100755' ? 'x' : '-', blob: hash }];
  });
}

/** The same of check-ins, as Fossil's own table of a check-in's files says it. */
function treesOf(
  file: string,
  checkins: readonly string[],
): Map<string, { path: string; flag: string; sum: string }[]> {
  const found = new Map<string, { path: string; flag: string; sum: string }[]>(
    checkins.map((hash) => [hash, []]),
  );
  const sql = checkins
    .map(
      (hash) =>
        `SELECT '${hash}' || ' ' || hex(CAST(filename AS BLOB)) || ' ' || coalesce(nullif(trim(perm, 'w'), ''), '-') || ' ' || uuid FROM files_of_checkin('${hash}');`,
    )
    .join('\n');
  const said = execFileSync('fossil', ['sql', '-R', file, '--readonly'], {
    input: sql,
    env: { PATH: process.env['PATH'], HOME: '/tmp', USER: 'admin' },
    maxBuffer: 1 << 28,
  }).toString();
  for (const line of said.split('\n')) {
    const [, hash = '', hex = '', flag = '', sum = ''] =
      /^'?(\w{40,64}) (\w+) (\S+) (\w+)'?$/.exec(line) ?? [];
    found.get(hash)?.push({ path: Buffer.from(hex, 'hex').toString('latin1'), flag, sum });
  }
  return found;
}

/**
 * Compares a mirror with the Fossil repository that it follows, by what git and Fossil's own tables tell. Which commit is which check-in is
 * what its text says. Besides what `differences` looks at: every date and text, that a branch ref leads to each leaf and a tag ref to whatever
 * is tagged, that there is no other ref, and what those of names that Git can hold are called.
 * @param main what the main branch is called there @returns the differences, a line each
 */
export function mirrorDifferences(mirror: Remote, file: string, main = 'main'): string[] {
  const commits = logOf(mirror, '--branches', '--tags');
  const marks = new Map(commits.map(({ hash, text }) => [hash, originOf(text)]));
  const wrong = differences(mirror, file, marks);
  const checkins = new Map(
    query(
      file,
      `SELECT uuid, comment, (coalesce(omtime, mtime) - 2440587.5) * 86400 AS at FROM event JOIN blob ON rid = objid WHERE type = 'ci'`,
    ).map((row) => [String(row['uuid']), row]),
  );
  for (const { hash, at, text } of commits) {
    const checkin = checkins.get(marks.get(hash) ?? '');
    const wanted = `${String(checkin?.['comment']).trim()}\n\nFossilOrigin-Name: ${marks.get(hash) ?? '?'}`;
    if (Buffer.from(text, 'latin1').toString().trim() !== wanted) wrong.push(`${hash} has another text`);
    if (Math.abs(Number(checkin?.['at']) - Number(at)) > 1) wrong.push(`${hash} has another date`);
  }
  const leaves = query(
    file,
    `SELECT uuid, value AS name FROM leaf JOIN blob USING (rid) JOIN tagxref USING (rid) JOIN tag USING (tagid)
     WHERE tagname = 'branch' AND tagtype > 0`,
  );
  // A name that was given again belongs to the last.
  const tags = query(
    file,
    `SELECT uuid, substr(tagname, 5) AS name, max(tagxref.mtime) FROM tagxref JOIN tag USING (tagid) JOIN blob USING (rid)
     JOIN event ON objid = rid WHERE tagname GLOB 'sym-*' AND tagtype = 1 AND type = 'ci' GROUP BY tagname`,
  );
  const wanted = [
    ...namesOf(leaves, main).map((one) => ({ ...one, below: 'refs/heads/' })),
    ...namesOf(tags, '').map((one) => ({ ...one, below: 'refs/tags/' })),
  ];
  const left = new Map(refsOf(mirror));
  const leadsTo = (ref: string): string => marks.get(left.get(ref) ?? '') ?? '?';
  for (const { below, name, hash, plain } of wanted.sort((a, b) => Number(b.plain) - Number(a.plain))) {
    const ref = [...left.keys()].find((one) =>
      plain ? one === `${below}${name}` : one.startsWith(below) && leadsTo(one) === hash,
    );
    if (ref === undefined || leadsTo(ref) !== hash) wrong.push(`${below}${name} does not lead to ${hash}`);
    left.delete(ref ?? '');
  }
  return [...wrong, ...[...left.keys()].map((ref) => `${ref} is too much`)];
}

/** What is named so. `plain`: Git and a file system that is blind to case can hold it beside the others, and so it stays. */
function namesOf(rows: readonly Record<string, unknown>[], main: string) {
  const named = rows.map((row) => ({ hash: String(row['uuid']), name: String(row['name']) }));
  const calls = named.map(({ hash, name }) => ({ hash, name: name === 'trunk' && main ? main : name }));
  const alike = Map.groupBy(calls, ({ name }) => name.toLowerCase());
  return calls.map((one) => ({
    ...one,
    plain: alike.get(one.name.toLowerCase())?.length === 1 && /^[a-z0-9](-?[a-z0-9]+)*$/.test(one.name),
  }));
}

/**
 * Compares a Git repository with a mirror of the Fossil one that it was imported into, by what git tells of both: every commit is exactly one
 * there, with the same tree, parents, date and text, every branch and tag leads to the same commit, and there is nothing else.
 * @param marks Fossil's hashes by those of `source` @param main what the main branches are called: in `source`, and in `mirror`
 * @returns the differences, a line each
 */
export function roundTripDifferences(
  source: Remote,
  mirror: Remote,
  marks: ReadonlyMap<string, string>,
  main: readonly [string, string],
): string[] {
  const wrong: string[] = [];
  const there = new Map(logOf(mirror, '--all').map((one) => [one.hash, one]));
  const origins = new Map([...there.values()].map(({ hash, text }) => [originOf(text), hash]));
  const became = (hash: string): string => origins.get(marks.get(hash) ?? '') ?? '?';
  const commits = logOf(source, '--branches', '--tags');
  for (const { hash, tree, at, parents, text } of commits) {
    const twin = there.get(became(hash));
    if (twin === undefined) {
      wrong.push(`${hash} is not there`);
      continue;
    }
    if (twin.tree !== tree) wrong.push(`${hash} has another tree`);
    if (twin.at !== at || twin.authoredAt !== at) wrong.push(`${hash} has another date`);
    // Fossil knows which parent is the first one, and of the others no order.
    const [first, ...others] = parents.map(became);
    const [itsFirst, ...itsOthers] = twin.parents;
    if (first !== itsFirst || others.sort().join() !== itsOthers.sort().join())
      wrong.push(`${hash} has other parents`);
    const wanted = `${text.trimEnd() || '(no comment)'}\n\nFossilOrigin-Name: ${marks.get(hash) ?? '?'}`;
    if (twin.text.trimEnd() !== wanted) wrong.push(`${hash} has another text`);
  }
  const twins = new Set(commits.map(({ hash }) => became(hash)));
  for (const hash of there.keys()) if (!twins.has(hash)) wrong.push(`${hash} is in the mirror alone`);
  if (twins.size !== commits.length) wrong.push('two commits became one');
  const wanted = refsOf(source).map(([ref, hash]) => {
    const called = ref === `refs/heads/${main[0]}` ? `refs/heads/${main[1]}` : ref;
    return `${called} ${became(hash)}`;
  });
  const has = refsOf(mirror).map((ref) => ref.join(' '));
  wrong.push(...wanted.filter((line) => !has.includes(line)).map((line) => `${line} is missing`));
  wrong.push(...has.filter((line) => !wanted.includes(line)).map((line) => `${line} is too much`));
  return wrong;
}

/** Every commit that some refs lead to. */
const logOf = (remote: Remote, ...refs: string[]) =>
  remote
    .raw(['log', '-z', '--format=%H%n%T%n%ct%n%at%n%P%n%B', ...refs, '--'])
    .toString('latin1')
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => {
      const [hash = '', tree, at, authoredAt, parents = '', ...text] = record.split('\n');
      return {
        hash,
        tree,
        at,
        authoredAt,
        parents: parents.split(' ').filter(Boolean),
        text: text.join('\n'),
      };
    });

const originOf = (text: string): string => /\nFossilOrigin-Name: (\w+)\s*$/.exec(text)?.[1] ?? '';

/** Branches and tags with the commits that they lead to. */
const refsOf = (remote: Remote): [string, string][] =>
  remote
    .git('for-each-ref', '--format=%(refname) %(objectname) %(*objectname)', 'refs/heads', 'refs/tags')
    .split('\n')
    .map((line) => {
      const [ref = '', hash = '', peeled] = line.split(' ');
      return [ref, peeled ? peeled : hash];
    });
