import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { isFenced } from '../backup/fence.ts';
import { replicaUrl } from '../backup/location.ts';
import { OperatorError } from '../errors.ts';
import { type LitestreamConfig, missingKeys, renderLitestreamConfig } from '../plan/litestream.ts';
import { type ServerWish, template } from '../plan/server.ts';
import { caddyRoot } from '../programs/caddy.ts';
import type { StorageCredentials } from '../secrets/storage.ts';
import type { Server } from '../server.ts';
import { stackOf } from '../stack/parts.ts';
import { listRepositories } from '../store/repositories.ts';
import { instanceId, knownInstance, openStore, type Store } from '../store/store.ts';
import { readIfThere } from '../system/files.ts';
import { isRoot } from '../system/identity.ts';
import { readTemplates } from './templates.ts';
import { hasStorageKeys } from '../secrets/load.ts';

/** All that decides what this server consists of, read from where it stands. @param keys the storage's, given with the command */
export function wishOf(server: Server, configText: string, keys?: StorageCredentials): ServerWish {
  const { paths, supervisor } = server;
  const config = { ...server.config, listen: listenable(server.config.listen) };
  const templates = readTemplates();
  return {
    config,
    paths,
    configText,
    templates,
    stack: stackOf(config, paths, keys !== undefined || hasStorageKeys(paths)),
    supervisor: supervisor.kind,
    users: isRoot() && paths.root === '/',
    storageKeys: keys,
    edgeRoot: config.tls === 'internal' ? readIfThere(caddyRoot(paths)) : undefined,
    litestream: installedLitestream(server, template(templates, 'litestream.yml')),
  };
}

/** The wildcard and loopback addresses of IPv6 are left out where the machine has no IPv6, as most containers: Caddy would not start. */
function listenable(listen: readonly string[]): string[] {
  const six = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ family }) => family === 'IPv6'),
  );
  const some = listen.filter((address) => six || !['::', '::1'].includes(address));
  return some.length > 0 ? some : [...listen];
}

/** @throws OperatorError when the template was changed so that Litestream would not do what is meant */
function installedLitestream(server: Pick<Server, 'config' | 'paths'>, text: string): LitestreamConfig {
  const missing = missingKeys(text);
  if (missing.length > 0)
    throw new OperatorError(`templates/litestream.yml does not say ${missing.join(', ')}.`, {
      next: 'It was changed by hand: correct it, or get it back by running install.sh again.',
      exit: 'configuration',
    });
  if (!existsSync(server.paths.database)) return renderLitestream(server, text, []);
  using store = openStore(server.paths);
  return knownInstance(store) === undefined
    ? renderLitestream(server, text, [])
    : litestreamOf(server, text, store);
}

/** Litestream's configuration as it follows from the management database; without any database while nothing may be written. */
export function litestreamOf(
  server: Pick<Server, 'config' | 'paths'>,
  text: string,
  store: Store,
): LitestreamConfig {
  const { config, paths } = server;
  if (isFenced({ config, store })) return renderLitestream(server, text, []);
  const instance = instanceId(store);
  return renderLitestream(server, text, [
    { file: paths.database, url: replicaUrl(config.replica, instance, 'management') },
    ...listRepositories(store, { hidden: true })
      .filter(({ state, file }) => state === 'active' && file.startsWith('repos/'))
      .map(({ id, file }) => ({
        file: join(paths.data, file),
        url: replicaUrl(config.replica, instance, `repos/${id}`),
      })),
  ]);
}

function renderLitestream(
  { config, paths }: Pick<Server, 'config' | 'paths'>,
  text: string,
  databases: { file: string; url: string }[],
): LitestreamConfig {
  const { exact, window, step } = config.replica;
  return {
    text: renderLitestreamConfig(text, { socket: paths.litestreamSocket, exact, window, step, databases }),
    databases: databases.map(({ file }) => file),
  };
}
