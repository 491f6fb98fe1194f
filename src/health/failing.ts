import type { Tries } from '../store/tries.ts';
import { ago } from '../system/instant.ts';
import type { Finding } from './finding.ts';

/** What can't be brought or followed for longer is what nobody may rely on. Milliseconds. */
const red = 24 * 3_600_000;

/** How bad it is that something fails: red after a day. @param now milliseconds since 1970 */
export const levelOf = ({ failingSince }: Pick<Tries, 'failingSince'>, now: number): Finding['level'] =>
  now - (failingSince ?? now) >= red ? 'red' : 'yellow';

/** When something that is tried succeeded last, in words. @param now milliseconds since 1970 */
export const lastSuccess = ({ okAt }: Pick<Tries, 'okAt'>, now: number): string =>
  `Last success ${okAt === null ? 'never' : ago(new Date(okAt).toISOString(), now)}`;
