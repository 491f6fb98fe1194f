import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** All that processes of this machine show, and all files below a folder, in which a text stands. The test's own process doesn't count. */
export const placesOf = (text: string, folder: string): string[] =>
  [
    ...readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
      .flatMap((name) => [`/proc/${name}/cmdline`, `/proc/${name}/environ`]),
    ...filesBelow(folder),
  ].filter((path) => holds(path, text));

/**
 * Looks for a text again and again while it is used.
 * @returns what ends that, and says in which places it was
 */
export function watchPlacesOf(text: string, folder: string, pause = 20): () => Promise<string[]> {
  const found = new Set<string>();
  const enough = new AbortController();
  const looking = (async () => {
    while (!enough.signal.aborted) {
      for (const path of placesOf(text, folder)) found.add(path);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  })();
  return async () => {
    enough.abort();
    await looking;
    return [...found];
  };
}

/** What goes while it is looked at is not there. */
function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : [];
    });
  } catch {
    return [];
  }
}

function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false;
  }
}
