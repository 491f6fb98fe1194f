import type { Forge } from '../forge.ts';
import { scanHostKeys } from '../mirror/remote/host-keys.ts';
import { agreed } from './questions.ts';

/**
 * Asks an SSH server for its host keys, shows their fingerprints, and has somebody agree to them: only its owner can say whether these are
 * them. @returns lines of known_hosts @throws OperatorError when nobody agrees
 */
export async function approvedHostKeys(
  forge: Pick<Forge, 'run' | 'out'>,
  url: string,
  flags: { yes: boolean; dryRun: boolean },
): Promise<string> {
  const { keys, text } = await scanHostKeys(forge, url);
  forge.out.say(`The server at ${url} shows these host keys:`);
  for (const { type, fingerprint } of keys) forge.out.say(`  ${type} ${fingerprint}`);
  if (!flags.yes && !flags.dryRun)
    await agreed('Are they what its owner publishes? From now on it is believed with these alone.', false);
  return text;
}
