import { isIPv6, SocketAddress } from 'node:net';

/**
 * Whose attempts are counted together: an IPv4 address, or the /64 that a provider gives one customer of IPv6.
 * @param forwarded `X-Forwarded-For` as the edge sets it: the peer's address, whatever the client claimed
 */
export function clientOf(forwarded: string | undefined): string {
  const address = (forwarded ?? '').split(',').at(-1)?.trim().replace(/%.*$/, '') ?? '';
  if (!isIPv6(address)) return address;
  const plain = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = /^::ffff:([\d.]+)$/.exec(plain);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [left = '', right] = plain.split('::');
  const before = left.split(':').filter(Boolean);
  const after = (right ?? '').split(':').filter(Boolean);
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
