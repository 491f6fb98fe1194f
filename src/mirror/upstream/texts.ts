/** Any bytes as UTF-8, each byte a character: what is no UTF-8 is taken for Latin-1, as Fossil does. */
export function asUtf8(bytes: Buffer): string {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return bytes.toString('latin1');
  } catch {
    return Buffer.from(bytes.toString('latin1'), 'utf8').toString('latin1');
  }
}

/** A commit's text as a check-in's comment, which is never empty. */
export const commentOf = (message: Buffer): string => asUtf8(message).trimEnd() || '(no comment)';

/**
 * Who a check-in is by, from `NAME <MAIL>`: the address as in `fossil import`, or the name where there is none.
 * @param ident bytes, each a character
 */
export function userOf(ident: string): string {
  const open = ident.lastIndexOf('<');
  const name = (open < 0 ? ident : ident.slice(0, open)).trim();
  const mail =
    open < 0
      ? ''
      : ident
          .slice(open + 1)
          .replace(/>.*$/s, '')
          .trim();
  const user = mail || name || 'unknown';
  return asUtf8(Buffer.from(user.replaceAll(/[\0-\x1f\x7f]/g, ' '), 'latin1'));
}
