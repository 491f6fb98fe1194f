import type { Forge } from '../forge.ts';
import type { Health } from '../health/health.ts';

/** What the pages need of the server. */
export type WebContext = {
  forge: Forge;
  /** Whether one may sleep, as of now. */
  health: () => Health;
};
