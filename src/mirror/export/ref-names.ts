import { createHash } from 'node:crypto';

/** A component of a path on disk has 255 bytes at most; git adds `.lock`, we a hash. */
const longestPart = 200;

/** Names for refs of one kind, each given out once: `const take = refNames(); take('main')`. */
export type TakeName = (wanted: string) => { name: string; renamed: boolean };

/**
 * Gives names that Git can hold (git-check-ref-format), and a file system too that is blind to case, knows device names, or reads an `é` of two
 * characters as one of one. A name that it can't hold, or that is in the way of one given out before (`foo` and `foo/bar`, `Foo` and
 * `foo`), becomes a readable one with eight digits of the hash of the name in Fossil: the same one each time.
 */
export function refNames(): TakeName {
  const taken = new Set<string>();
  // Every folder that a name makes, by its blind form, as it was first written.
  const folders = new Map<string, string>();
  const fits = (name: string): boolean => {
    const key = blind(name);
    if (taken.has(key) || folders.has(key)) return false;
    return foldersOf(name).every((folder) => {
      const first = folders.get(blind(folder));
      return !taken.has(blind(folder)) && (first === undefined || first === folder);
    });
  };
  return (wanted) => {
    const name = [wanted, ...replacements(wanted)].find((one) => canHold(one) && fits(one));
    if (name === undefined) throw new Error(`there is no name for ${wanted}`);
    taken.add(blind(name));
    for (const folder of foldersOf(name)) folders.set(blind(folder), folder);
    return { name, renamed: name !== wanted };
  };
}

function foldersOf(name: string): string[] {
  const parts = name.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

const blind = (name: string): string => name.normalize('NFKC').toLowerCase().normalize('NFC');

/** Characters that Git or Windows refuses in a name. */
const refused = /[\u0000-\u0020\u007f~^:?*[\\<>"|]/;

function canHold(name: string): boolean {
  if (name === 'HEAD' || name === '@' || name.includes('@{') || refused.test(name) || !name.isWellFormed())
    return false;
  // What looks like a hash is taken for one.
  if (/^[0-9a-f]{40}$|^[0-9a-f]{64}$/i.test(name)) return false;
  return name
    .split('/')
    .every(
      (part) =>
        part !== '' &&
        !part.startsWith('.') &&
        !part.startsWith('-') &&
        !part.endsWith('.') &&
        !part.includes('..') &&
        !/\.lock$/i.test(part) &&
        !/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(part) &&
        Buffer.byteLength(part) <= longestPart,
    );
}

/** Readable names that follow from one that can't be had; the last ones can always be held. */
function* replacements(wanted: string): Generator<string> {
  const hash = createHash('sha256').update(wanted).digest('hex');
  const readable = wanted
    .replaceAll(new RegExp(refused, 'g'), '-')
    .replaceAll(/@\{|\.{2,}/g, '-')
    .split('/')
    .map((part) => part.replaceAll(/^[.-]+|[.-]+$/g, ''))
    .filter(Boolean);
  yield `${readable.join('/')}-${hash.slice(0, 8)}`;
  const flat = readable
    .join('-')
    .toWellFormed()
    .slice(0, longestPart / 4);
  yield `${flat}-${hash.slice(0, 8)}`;
  yield `ref-${hash.slice(0, 8)}`;
  yield `ref-${hash}`;
}
