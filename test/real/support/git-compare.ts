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
  const sums = contents(remote);
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
    const inGit = tree(remote, hash, sums, options.altered ?? []);
    const inFossil = (fossil.get(checkin) ?? []).map((line) =>
      (options.altered ?? []).some((path) => line.startsWith(`${path} `))
        ? line.replace(/ \S+$/, ' *')
        : line,
    );
    if (inGit.join('\n') !== inFossil.sort().join('\n'))
      wrong.push(`${hash} has another tree:\n${inGit.join('\n')}\n--\n${inFossil.join('\n')}`);
  }
  return wrong;
}

/** `PATH MODE SHA3` of each file. */
function tree(
  remote: Remote,
  commit: string,
  sums: ReadonlyMap<string, string>,
  altered: readonly string[],
): string[] {
  const lines = remote
    .raw(['ls-tree', '-r', '-z', commit])
    .toString('latin1')
    .split('\0')
    .filter((line) => line !== '' && !line.startsWith('160000'));
  return lines
    .map((line) => {
      const [, mode = '', blob = '', path = ''] = /^(\d+) blob (\w+)\t(.*)$/s.exec(line) ?? [];
      const flag = mode === '120000' ? 'l' : mode === '100755' ? 'x' : '-';
      return `${path} ${flag} ${altered.includes(path) ? '*' : (sums.get(blob) ?? '?')}`;
    })
    .sort();
}

/** The SHA3 of every file's content, by its hash in Git. */
function contents(remote: Remote): Map<string, string> {
  const all = remote.raw(['cat-file', '--batch', '--batch-all-objects', '--buffer']);
  const sums = new Map<string, string>();
  for (let from = 0; from < all.length;) {
    const end = all.indexOf('\n', from);
    const [hash = '', type, size] = all.toString('latin1', from, end).split(' ');
    const content = all.subarray(end + 1, end + 1 + Number(size));
    if (type === 'blob') sums.set(hash, createHash('sha3-256').update(content).digest('hex'));
    from = end + 1 + Number(size) + 1;
  }
  return sums;
}

/** The same of check-ins, as Fossil's own table of a check-in's files says it. */
function treesOf(file: string, checkins: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>(checkins.map((hash) => [hash, []]));
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
    found.get(hash)?.push(`${Buffer.from(hex, 'hex').toString('latin1')} ${flag} ${sum}`);
  }
  return found;
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
