import { OperatorError } from '../errors.ts';

/** What a mirror is called when nobody says: `github` for github.com, `git.example.org`, `folder`. @param host empty for a path */
export function nameFrom(host: string): string {
  if (host === '') return 'folder';
  if (host.includes(':')) return 'git';
  const known = /^(?:www\.)?(github|gitlab|codeberg|bitbucket)\.(?:com|org)$/.exec(host);
  return known?.[1] ?? host;
}

/** @throws OperatorError (usage) when a mirror can't be called so */
export function checkMirrorName(name: string): void {
  if (/^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$/.test(name)) return;
  throw new OperatorError(`A mirror can't be called ${JSON.stringify(name)}.`, {
    next: 'Use 1 to 64 of a-z, 0-9, - and ., not - or . at its ends.',
    exit: 'usage',
  });
}
