import { pathsUnder } from '../config/paths.ts';
import { messageOf } from '../errors.ts';
import { sealNow } from '../secrets/bundle/seal.ts';
import type { GlobalOptions, Server } from '../server.ts';
import { terminal } from '../system/output.ts';

/** Root's one-shot: seals what is secret here if it has changed. Reads no configuration, so that a broken one is sealed as it is. */
export async function sealBundleCommand(options: GlobalOptions): Promise<void> {
  const done = await sealNow(pathsUnder(options.root));
  const said = {
    sealed: 'sealed anew: the management part brings it to the replica',
    unchanged: '',
    'no key': 'nobody was shown a recovery key yet: nothing to seal to',
  };
  terminal(options.json).result({ bundle: done }, said[done]);
}

/** The same after another command's work, which is done whether this succeeds or not. */
export async function renewBundle({ paths, out }: Pick<Server, 'paths' | 'out'>): Promise<void> {
  try {
    await sealNow(paths);
  } catch (error) {
    out.warn(`What is secret on this server could not be sealed for the replica: ${messageOf(error)}`);
  }
}
