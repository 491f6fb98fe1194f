import { OperatorError } from '../errors.ts';

const hash = /^[0-9a-f]{40}([0-9a-f]{24})?$/;

/** Reads what `ls-remote` printed: ref → hash. @throws OperatorError when it is something else */
export function readRefs(stdout: string): Map<string, string> {
  const refs = new Map<string, string>();
  for (const line of stdout.split('\n')) {
    if (line === '') continue;
    const [value = '', ref = ''] = line.split('\t');
    if (!hash.test(value) || !ref.startsWith('refs/'))
      throw new OperatorError(`git ls-remote printed “${plainText(line).slice(0, 120)}”, which is no ref.`);
    refs.set(ref, value);
  }
  return refs;
}

/** What a push did with one ref, by the flag in front of its line (`git help push`, OUTPUT). */
export type PushFlag = 'updated' | 'forced' | 'created' | 'deleted' | 'same' | 'rejected';

export type PushedRef = {
  ref: string;
  flag: PushFlag;
  /** `rejected`: in brackets who refused (`rejected`, `remote rejected`, `remote failure`), in parentheses why. */
  summary: string;
};

const flags: Readonly<Record<string, PushFlag>> = {
  ' ': 'updated',
  '+': 'forced',
  '*': 'created',
  '-': 'deleted',
  '=': 'same',
  '!': 'rejected',
};

/** Reads what `push --porcelain` printed: one line a ref, `FLAG TAB FROM:TO TAB SUMMARY`, in lines of other kinds. */
export function readPush(stdout: string): PushedRef[] {
  return stdout.split('\n').flatMap((line) => {
    const [mark = '', names, ...rest] = line.split('\t');
    const flag = flags[mark];
    if (flag === undefined || names === undefined || rest.length === 0) return [];
    return [{ ref: names.slice(names.indexOf(':') + 1), flag, summary: plainText(rest.join(' ')).trim() }];
  });
}

/** The reason in a summary's parentheses, or all of it. */
export const reasonOf = (summary: string): string => /\((.*)\)$/.exec(summary)?.[1] ?? summary;

/** What the other side wrote for people, from git's standard error: its lines begin with `remote:`. At most 20. */
export function readRemoteText(stderr: string): string[] {
  return lines(stderr)
    .flatMap((line) => /^remote: ?(.*)$/.exec(line)?.[1]?.trimEnd() ?? [])
    .filter(
      (line) =>
        line.trim() !== '' &&
        !/^(Resolving|Counting|Compressing|Enumerating|Total|Checking|error: hook declined to update) /.test(
          line.trim(),
        ),
    )
    .slice(0, 20)
    .map((line) => line.slice(0, 300));
}

/** Bytes of objects that a push or fetch sent, from git's own progress: `Writing objects: 100% (3/3), 1.20 KiB | …, done.` */
export function readBytes(stderr: string): number {
  const units: Readonly<Record<string, number>> = { bytes: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
  return lines(stderr)
    .map((line) => /^Writing objects: 100% .*?, ([\d.]+) (bytes|KiB|MiB|GiB) \|.*done\.$/.exec(line))
    .reduce((sum, found) => sum + Math.round(Number(found?.[1] ?? 0) * (units[found?.[2] ?? ''] ?? 0)), 0);
}

/** What git said on standard error, without progress and without the other side's text. */
export const ownLines = (stderr: string): string[] =>
  lines(stderr).filter(
    (line) => line !== '' && !line.startsWith('remote:') && !/^\w[\w ]+: +\d+% /.test(line),
  );

/** A commit that is on a remote and not here. */
export type ForeignCommit = { hash: string; subject: string; author: string; mail: string; date: string };

/** Reads what `gitLog` printed. Dates are ISO 8601 with the author's zone. */
export function readLog(stdout: string): ForeignCommit[] {
  return stdout
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [commit = '', author = '', mail = '', date = '', ...subject] = plainText(entry, '\x1f').split(
        '\x1f',
      );
      return { hash: commit, author, mail, date, subject: subject.join(' ').slice(0, 300) };
    });
}

/** Progress overwrites its line by carriage returns. */
const lines = (stderr: string): string[] => stderr.split(/[\r\n]/).map((line) => plainText(line).trimEnd());

/** Text of others without what moves a terminal's cursor or colours it. @param keep one control character that stays */
export const plainText = (text: string, keep = ''): string =>
  text

    .replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, '')

    .replaceAll(/[\0-\x1f\x7f-\x9f]/g, (character) => (character === keep ? character : ' '));
