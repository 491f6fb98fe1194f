import type { Config } from './config.ts';

/** Litestream goes through all databases once per step. Milliseconds. */
const shortestStep = 30_000;

/** A rule that one key alone can't show to be broken. */
export type Mistake = { path: string[]; message: string };

/** Every cross-field rule that the configuration breaks. */
export function mistakes(config: Config): Mistake[] {
  return [acmeNeedsDomain, portsDiffer, exactWithinWindow, stepWithinExact, acmeRootsNeedDirectory].flatMap(
    (rule) => rule(config),
  );
}

function acmeNeedsDomain({ tls, local, domain }: Config): Mistake[] {
  const publicName = !local && domain.includes('.');
  return tls === 'auto' && !publicName
    ? [{ path: ['tls'], message: `auto needs a public domain; ${domain} can have internal or off` }]
    : [];
}

function portsDiffer({ ports }: Config): Mistake[] {
  const seen = new Map<number, string>();
  return Object.entries(ports).flatMap(([name, port]) => {
    const other = seen.get(port);
    seen.set(port, name);
    return other === undefined
      ? []
      : [{ path: ['ports', name], message: `is ${port}, as ports.${other} is` }];
  });
}

function exactWithinWindow({ replica }: Config): Mistake[] {
  return replica.exact > replica.window
    ? [{ path: ['replica', 'exact'], message: 'must not be longer than replica.window' }]
    : [];
}

function stepWithinExact({ replica }: Config): Mistake[] {
  return replica.step < shortestStep || replica.step > replica.exact
    ? [{ path: ['replica', 'step'], message: 'must be between 30s and replica.exact' }]
    : [];
}

function acmeRootsNeedDirectory({ acme }: Config): Mistake[] {
  return acme.roots !== undefined && acme.directory === undefined
    ? [{ path: ['acme', 'roots'], message: 'says nothing without acme.directory' }]
    : [];
}
