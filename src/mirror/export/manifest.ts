/** A file as a check-in's manifest names it. A name is its bytes, each a character (`latin1`): it may be no UTF-8. */
export type ManifestFile = { name: string; hash: string; mode: FileMode };

/** As Git writes it: an ordinary file, an executable, a symbolic link. */
export type FileMode = '100644' | '100755' | '120000';

/** What a check-in's manifest says. Its texts are bytes, too. */
export type Manifest = {
  /** When, by its author's clock. Milliseconds since 1970. */
  at: number;
  comment: string;
  /** The manifest whose files these differ from, in a repository that keeps differences only. */
  baseline: string | undefined;
  /** The primary one first. */
  parents: readonly string[];
  /** In a manifest with a baseline one without a hash is gone. */
  files: readonly (Omit<ManifestFile, 'hash'> & { hash: string | undefined })[];
};

/** Reads the cards that matter here of a check-in's manifest (doc "fileformat", section 2.1; manifest.c). */
export function readManifest(artifact: Buffer): Manifest {
  const files: Manifest['files'][number][] = [];
  let baseline: string | undefined;
  let parents: string[] = [];
  let at = 0;
  let comment = '';
  for (const line of artifact.toString('latin1').split('\n')) {
    const [card, first = '', second, flags] = line.split(' ');
    if (card === 'B') baseline = first;
    else if (card === 'C') comment = unescape(first);
    else if (card === 'D') at = Date.parse(`${first}Z`);
    else if (card === 'P') parents = line.split(' ').slice(1).filter(Boolean);
    else if (card === 'F')
      files.push({ name: unescape(first), hash: second || undefined, mode: modeOf(flags) });
  }
  return { at, comment, baseline, parents, files };
}

/** The whole tree of a check-in, by name. @param read the manifest of a hash */
export function treeOf(manifest: Manifest, read: (hash: string) => Manifest): Map<string, ManifestFile> {
  const tree = new Map<string, ManifestFile>();
  const layers = manifest.baseline === undefined ? [manifest] : [read(manifest.baseline), manifest];
  for (const { files } of layers)
    for (const { name, hash, mode } of files)
      if (hash === undefined) tree.delete(name);
      else tree.set(name, { name, hash, mode });
  return tree;
}

const modeOf = (flags = ''): FileMode =>
  flags.includes('l') ? '120000' : flags.includes('x') ? '100755' : '100644';

/** Names are written so that they hold no space or line end (defossilize in encode.c). */
const unescape = (text: string): string =>
  text.replaceAll(/\\(.)/g, (_, letter: string) => escapes[letter] ?? letter);

const escapes: Readonly<Record<string, string>> = {
  s: ' ',
  n: '\n',
  t: '\t',
  r: '\r',
  v: '\v',
  f: '\f',
  '0': '\0',
};
