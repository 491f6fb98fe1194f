import { z } from 'zod';
import { messageOf, OperatorError } from '../../errors.ts';
import { parseJson } from '../../system/json.ts';
import { type Secret, secret } from '../secret.ts';

/** Whose a file is: by role, since the users of another machine have other numbers. `service`: the management part. */
const owners = ['root', 'edge', 'service'] as const;
export type BundleOwner = (typeof owners)[number];

const file = z.strictObject({
  /** Relative to the server's root, without a slash in front. */
  path: z.string().min(1),
  /** Permission bits. */
  mode: z.int().min(0).max(0o777),
  owner: z.enum(owners),
  base64: z.base64(),
});
export type BundleFile = z.output<typeof file>;

const bundle = z.strictObject({
  version: z.literal(1),
  instance: z.string().min(1),
  madeAt: z.iso.datetime(),
  hostname: z.string(),
  /** The version of fossilrepo that made it. */
  fossilrepo: z.string(),
  files: z.array(file),
});

/** What is secret, or can't be derived, outside the databases: all that a new machine needs besides them to be the same server. */
export type Bundle = z.output<typeof bundle>;

/** An age X25519 identity, which is for people only, and the recipient that belongs to it, which the server keeps. */
export type RecoveryKey = { identity: Secret; recipient: string };

export async function newRecoveryKey(): Promise<RecoveryKey> {
  const { generateX25519Identity } = await import('age-encryption');
  const identity = secret(await generateX25519Identity());
  return { identity, recipient: await recipientOf(identity) };
}

/** The recipient that belongs to a recovery key. @throws OperatorError (usage) when it is no such key */
export async function recipientOf(identity: Secret): Promise<string> {
  const { identityToRecipient } = await import('age-encryption');
  return identityToRecipient(keyIn(identity)).catch((error: unknown) => {
    throw noKey(error);
  });
}

/** Encrypts a bundle so that only the recipient's recovery key opens it. @returns age's ASCII armor, for the age program, too */
export async function sealBundle(content: Bundle, recipient: string): Promise<string> {
  const { armor, Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(JSON.stringify(bundle.parse(content))));
}

/**
 * Opens a bundle.
 * @param text what `sealBundle` made
 * @param identity the recovery key, or the text of a file that it stands in
 * @throws OperatorError when the key is none or another one, or the text is damaged or no bundle; without showing the key
 */
export async function openBundle(text: string, identity: Secret): Promise<Bundle> {
  const { armor, Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(keyIn(identity));
  } catch (error) {
    throw noKey(error);
  }
  let plain: string;
  try {
    plain = await decrypter.decrypt(armor.decode(text), 'text');
  } catch (error) {
    // What age-encryption says when the key is a right one, but another.
    if (/no identity matched/.test(messageOf(error)))
      throw new OperatorError('This recovery key does not open the bundle.', {
        next: 'Use the key that was shown last by this server: install showed the first one, backup recovery-key --rotate each later one.',
      });
    throw new OperatorError(`The bundle is damaged, or is none: ${messageOf(error)}.`, {
      next: 'Use another bundle of the replica: they are in INSTANCE/bundles.',
    });
  }
  return parsed(plain);
}

function parsed(plain: string): Bundle {
  const document = z.looseObject({ version: z.int() }).safeParse(parseJson(plain));
  const known = bundle.safeParse(document.data);
  if (known.success) return known.data;
  throw new OperatorError(
    document.success && document.data.version > 1
      ? `The bundle was made by a newer fossilrepo (version ${document.data.version} of its format).`
      : 'What is in the bundle is not what fossilrepo puts there.',
    { next: 'Use the fossilrepo that made it, or a newer one.' },
  );
}

/** A key comes from a screen, a file of age-keygen with comments, or a password manager. */
function keyIn(identity: Secret): string {
  const [key] = /AGE-SECRET-KEY-1[0-9A-Z]+/.exec(identity.reveal().toUpperCase()) ?? [];
  if (key === undefined) throw noKey();
  return key;
}

/** The cause would hold the key. */
function noKey(error?: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  return new OperatorError('This is no recovery key, or not all of it.', {
    next: 'A recovery key is one word that begins with AGE-SECRET-KEY-1 and has 74 letters and digits.',
    exit: 'usage',
  });
}
