import { randomBytes, randomInt, scrypt, timingSafeEqual } from 'node:crypto';
import { type Secret, secret } from './secret.ts';

/** 32 MiB and about 0.1 s a try; well above what a rented graphics card makes cheap. */
const cost = { N: 2 ** 15, r: 8, p: 1 };
const keyBytes = 32;

/** A password's hash, with its parameters: `scrypt$N$r$p$salt$key`, base64url. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost, keyBytes);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Whether the password belongs to the hash. A hash that can't be read belongs to none, and takes as long. */
export async function checkPassword(password: string, hash: string): Promise<boolean> {
  const [scheme, N, r, p, salt, key] = hash.split('$');
  const wanted = Buffer.from(key ?? '', 'base64url');
  const parameters = { N: Number(N), r: Number(r), p: Number(p) };
  if (scheme !== 'scrypt' || wanted.length < 16 || !isSane(parameters)) {
    await derive(password, Buffer.alloc(16), cost, keyBytes);
    return false;
  }
  const got = await derive(password, Buffer.from(salt ?? '', 'base64url'), parameters, wanted.length);
  return timingSafeEqual(got, wanted);
}

type Cost = typeof cost;

const isSane = ({ N, r, p }: Cost): boolean =>
  Number.isInteger(Math.log2(N)) && N >= 2 && N <= 2 ** 20 && r >= 1 && r <= 32 && p >= 1 && p <= 16;

function derive(password: string, salt: Buffer, parameters: Cost, length: number): Promise<Buffer> {
  const memory = { maxmem: 256 * parameters.N * parameters.r };
  return new Promise((resolve, reject) => {
    // The same letter can be typed as one code point or two: NFKC makes them equal.
    scrypt(password.normalize('NFKC'), salt, length, { ...parameters, ...memory }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

/** No letter or digit that looks like another one. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A password that a person can read from a screen and type: 21 letters of 31 in groups, 104 bits. */
export function newPassword(): Secret {
  const letters = Array.from({ length: 21 }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
  return secret(letters.replace(/.{7}(?=.)/g, '$&-'));
}

/** An access token or a session: 160 bits, letters and digits only, so that it needs no escaping in a URL. */
export const newToken = (): Secret => secret(`frt${randomBytes(20).toString('hex')}`);
