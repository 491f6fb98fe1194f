import { type LitestreamControl, litestreamControl } from './backup/control.ts';
import { loadSecrets, type Secrets } from './secrets/load.ts';
import { type GlobalOptions, openServer, type Server } from './server.ts';
import { instanceId, openStore, type Store } from './store/store.ts';
import { becomeService } from './system/identity.ts';
import { withLock } from './system/locks.ts';

/** A server that is installed: what it knows, its secrets, and its Litestream. */
export type Forge = Server & {
  store: Store;
  secrets: Secrets;
  instance: string;
  litestream: LitestreamControl;
};

/** How long a changing command waits for another one. Milliseconds. */
const patience = 60_000;

/**
 * Opens the forge for one command. Secrets are read as who called; after that the process is the service user, so that
 * nothing that tenants wrote is ever read as root.
 */
export async function withForge<T>(options: GlobalOptions, work: (forge: Forge) => Promise<T>): Promise<T> {
  const server = openServer(options);
  const secrets = loadSecrets(server.paths);
  becomeService(server.paths);
  using store = openStore(server.paths, { create: false });
  return await work(forgeOf(server, store, secrets));
}

/** One changing command at a time, the loop's own repairs included. @throws OperatorError (busy) */
export const alone = <T>(forge: Pick<Forge, 'paths'>, work: () => Promise<T>): Promise<T> =>
  withLock(forge.paths, 'changes', patience, work);

/** Opens the forge for one command that works alone. */
export async function changeForge<T>(options: GlobalOptions, work: (forge: Forge) => Promise<T>): Promise<T> {
  return withForge(options, (forge) => alone(forge, () => work(forge)));
}

export function forgeOf(server: Server, store: Store, secrets: Secrets): Forge {
  return {
    ...server,
    store,
    secrets,
    instance: instanceId(store),
    litestream: litestreamControl(server.paths),
  };
}
