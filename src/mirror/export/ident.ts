import type { Ident } from '../../store/idents.ts';

/**
 * How a login is called in Git, much as `fossil git export` does it: the address in the user's contact text, else the login where it is an
 * address, else one that leads nowhere; before it the name in the contact text, else the login.
 * @param info Fossil's `user.info`, which may hold anything
 */
export function identOf(login: string, info: string): Ident {
  const contact = clean(info);
  const [, before = '', bracketed = ''] = /^([^<]*)<([^<>\s]*)/.exec(contact) ?? [];
  const known = clean(login).replaceAll(/[<>]/g, '');
  const bare = /^[^\s<>@]+@[^\s<>@]+$/.test(contact) ? contact : '';
  const name = before.replaceAll(/["<>]/g, '').trim() || known || 'unknown';
  const mail = bracketed || bare || (known.includes('@') ? known.replaceAll(' ', '') : '');
  return { name, mail: mail || `${known.replaceAll(' ', '.') || 'unknown'}@noemail.net` };
}

/** One line without control characters; Git takes some characters away at both ends (ident.c), so that they are not there. */
const clean = (text: string): string =>
  text.replaceAll(/[\u0000-\u0020\u007f]+/g, ' ').replaceAll(/^[ .,:;"'\\]+|[ .,:;"'\\]+$/g, '');
