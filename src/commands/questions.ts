import { confirm, input, password, select } from '@inquirer/prompts';
import type { Answers } from '../config/answers.ts';
import { OperatorError } from '../errors.ts';
import { recipientOf } from '../secrets/bundle/format.ts';
import { type Secret, secret } from '../secrets/secret.ts';
import type { StorageCredentials } from '../secrets/storage.ts';

/** Questions are talk: standard output is for results. */
const terminal = { output: process.stderr };

/** What install has to know; what a flag said is not asked. */
export type Asked = { answers: Answers; keys: StorageCredentials | undefined };

/**
 * Asks the person at the terminal, before anything is looked at or touched.
 * @param defaultFolder where the replica goes when nothing better is named
 */
export async function askForServer(
  flags: Answers,
  given: StorageCredentials | undefined,
  defaultFolder: string,
): Promise<Asked> {
  const domain =
    flags.domain ??
    (await input({ message: 'Domain (repositories answer at NAME.DOMAIN)', default: 'localhost' }, terminal));
  const local = domain === 'localhost' || domain.endsWith('.localhost');
  const email =
    flags.email ??
    (local ? '' : await input({ message: 'E-mail for the certificate authority (may be empty)' }, terminal));
  const replica = flags.replica ?? (await askForReplica(defaultFolder, local));
  const inS3 = replica.startsWith('s3://');
  const endpoint =
    flags.endpoint ??
    (inS3 ? await input({ message: 'Endpoint of the storage (empty for Amazon)' }, terminal) : '');
  const keys = given ?? (inS3 ? await askForKeys() : undefined);
  return {
    answers: {
      ...flags,
      domain,
      replica,
      ...(email !== '' && { email }),
      ...(endpoint !== '' && { endpoint }),
    },
    keys,
  };
}

/** @param trial whether nobody else reaches the server: then a folder will do, so that each question can be answered by Enter */
async function askForReplica(defaultFolder: string, trial: boolean): Promise<string> {
  const choices = [
    { name: 'S3-compatible storage', value: 's3' },
    { name: 'a folder, on another disk if possible', value: 'folder' },
  ] as const;
  const kind = await select(
    { message: 'Where shall every commit go?', choices, default: trial ? 'folder' : 's3' },
    terminal,
  );
  if (kind === 'folder')
    return `file://${await input({ message: 'Folder', default: defaultFolder }, terminal)}`;
  return await input(
    {
      message: 'Address (s3://BUCKET/PREFIX)',
      validate: (text) => text.startsWith('s3://') || 'It begins with s3://',
    },
    terminal,
  );
}

/** The storage's keys, from the person at the terminal. */
export async function askForKeys(): Promise<StorageCredentials> {
  const id = await input({ message: 'Access key ID of the storage', required: true }, terminal);
  const key = await password(
    {
      message: 'Secret access key',
      mask: true,
      validate: (text) => text !== '' || "It can't be empty.",
    },
    terminal,
  );
  return { id, secret: secret(key) };
}

/** The recovery key that install showed; what is none is asked for again. @throws OperatorError (usage) when nobody is there */
export async function askForRecoveryKey(): Promise<Secret> {
  if (!somebodyIsThere())
    throw new OperatorError('The recovery key is needed.', {
      next: 'Give it with --recovery-key FILE, or - for standard input.',
      exit: 'usage',
    });
  const key = await password(
    { message: 'Recovery key (AGE-SECRET-KEY-1…)', mask: true, validate: isRecoveryKey },
    terminal,
  );
  return secret(key);
}

/** @returns true, or what is wrong with it */
async function isRecoveryKey(text: string): Promise<true | string> {
  try {
    await recipientOf(secret(text));
    return true;
  } catch (error) {
    if (error instanceof OperatorError) return `${error.message} ${error.next ?? ''}`.trim();
    throw error;
  }
}

/** The token that a Git remote knows this server by; undefined when the person has none. */
export async function askForToken(host: string): Promise<Secret | undefined> {
  const token = await password(
    {
      message: `Token for ${host} (empty: none)`,
      mask: true,
      validate: (text) => !/[\s\p{Cc}]/u.test(text.trim()) || 'A token is one word.',
    },
    terminal,
  );
  return token.trim() === '' ? undefined : secret(token.trim());
}

/** Whether a person is there to be asked: at the keyboard and at the screen. */
export const somebodyIsThere = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** @throws OperatorError: cancelled when the person says no, usage when nobody is there */
export async function agreed(question: string, presumed: boolean): Promise<void> {
  requireSomebody();
  if (!(await confirm({ message: question, default: presumed }, terminal))) throw cancelled();
}

/** Has a word typed out, for what can't be taken back. @throws OperatorError as `agreed` */
export async function typed(word: string, what: string): Promise<void> {
  requireSomebody();
  if ((await input({ message: `Type ${word} to ${what}` }, terminal)) !== word) throw cancelled();
}

function requireSomebody(): void {
  if (!somebodyIsThere())
    throw new OperatorError('This needs a yes.', {
      next: 'Add --yes; --dry-run shows what would be done.',
      exit: 'usage',
    });
}

const cancelled = () => new OperatorError('Nothing was changed.', { exit: 'cancelled' });
