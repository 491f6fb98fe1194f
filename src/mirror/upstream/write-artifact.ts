import { createHash } from 'node:crypto';

/** A file of a check-in: its artifact's hash, and `x` for an executable, `l` for a symbolic link. */
export type TreeFile = { hash: string; flag: '' | ' x' | ' l' };

/** A check-in's or control artifact's tag: `*` goes on to what follows, `+` doesn't, `-` ends one. */
export type TagCard = { sign: '*' | '+' | '-'; name: string; on: string; value?: string };

/**
 * The text of a check-in (doc "fileformat", section 2.1). Texts are bytes, each a character.
 * @param checkin.at seconds since 1970 @param checkin.files in the order of their names' bytes
 */
export function checkinText(checkin: {
  comment: string;
  at: number;
  files: Iterable<readonly [name: string, file: TreeFile]>;
  parents: readonly string[];
  tags: readonly TagCard[];
  user: string;
}): Buffer {
  const cards = [`C ${encode(checkin.comment)}`, `D ${dateOf(checkin.at)}`];
  for (const [name, { hash, flag }] of checkin.files) cards.push(`F ${encode(name)} ${hash}${flag}`);
  if (checkin.parents.length > 0) cards.push(`P ${checkin.parents.join(' ')}`);
  return sealed([...cards, ...tagCards(checkin.tags), `U ${encode(checkin.user)}`]);
}

/** The text of a control artifact (section 2.6): tags on check-ins that are there already. @param at seconds since 1970 */
export const controlText = (at: number, tags: readonly TagCard[], user: string): Buffer =>
  sealed([`D ${dateOf(at)}`, ...tagCards(tags), `U ${encode(user)}`]);

/** Fossil's name of an artifact of a new repository (hname.c): SHA3-256. */
export const artifactHash = (content: Uint8Array): string =>
  createHash('sha3-256').update(content).digest('hex');

/** Cards have to be in this order (manifest.c). */
const tagCards = (tags: readonly TagCard[]): string[] =>
  tags
    .map(({ sign, name, on, value }) => ({
      key: `${sign}${name} ${on}`,
      text: `T ${sign}${encode(name)} ${on}${value === undefined ? '' : ` ${encode(value)}`}`,
    }))
    .sort((one, other) => (one.key < other.key ? -1 : 1))
    .map(({ text }) => text);

function sealed(cards: readonly string[]): Buffer {
  const text = Buffer.from(`${cards.join('\n')}\n`, 'latin1');
  const sum = createHash('md5').update(text).digest('hex');
  return Buffer.concat([text, Buffer.from(`Z ${sum}\n`)]);
}

/** The year 9999 is Fossil's last. */
const dateOf = (at: number): string =>
  new Date(Math.min(Math.max(at, 0), 253_402_300_799) * 1000).toISOString().slice(0, 19);

const escapes: Readonly<Record<string, string>> = {
  ' ': '\\s',
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\v': '\\v',
  '\f': '\\f',
  '\0': '\\0',
  '\\': '\\\\',
};

/** As `fossilize` in encode.c. */
const encode = (text: string): string =>
  text.replaceAll(/[ \n\t\r\v\f\0\\]/g, (character) => escapes[character] ?? character);

/**
 * A file that has the form of one of Fossil's own artifacts would be taken for one: whoever can write to the remote could make check-ins
 * and tags of his choice here. As in `fossil import` a line is added that takes the form away.
 * @returns the content itself, or a harmless one
 */
export function harmless(content: Buffer): Buffer {
  const text = isSealed(content) || isSigned(content) ? content.toString('latin1') : undefined;
  if (text === undefined) return content;
  const without = text.replaceAll(
    sealLine,
    '$&# Remove this line to create a well-formed Fossil artifact.\n',
  );
  return without === text ? content : Buffer.from(without, 'latin1');
}

const sealLine = /^Z [0-9a-f]{32}\n/gm;
const sealBytes = 'Z '.length + 32 + '\n'.length;

/** Its last line is the sum of all before: without that it is no artifact (manifest.c). */
function isSealed(content: Buffer): boolean {
  if (content.length <= sealBytes || !/^[A-M] $/.test(content.toString('latin1', 0, 2))) return false;
  const body = content.subarray(0, -sealBytes);
  const sum = createHash('md5').update(body).digest('hex');
  return content.subarray(-sealBytes).toString('latin1') === `Z ${sum}\n`;
}

/** What is between a signature's lines is not looked at more closely. */
const isSigned = (content: Buffer): boolean => content.toString('latin1', 0, 11) === '-----BEGIN ';
