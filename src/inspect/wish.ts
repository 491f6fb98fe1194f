import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { replicaUrl } from '../backup/location.ts';
import { renderLitestreamConfig } from '../plan/litestream.ts';
import { type ServerWish, template } from '../plan/server.ts';
import { type Server, stackOfServer } from '../server.ts';
import { listRepositories } from '../store/repositories.ts';
import { instanceId, openStore, type Store } from '../store/store.ts';
import { isRoot } from '../system/identity.ts';
import { readTemplates } from './templates.ts';

/** All that decides what this server consists of, read from where it stands. */
export function wishOf(server: Server, configText: string): ServerWish {
  const { config, paths, supervisor } = server;
  const templates = readTemplates();
  return {
    config,
    paths,
    configText,
    templates,
    stack: stackOfServer(server),
    supervisor: supervisor.kind,
    users: isRoot() && paths.root === '/',
    litestreamText: installedLitestream(server, template(templates, 'litestream.yml')),
  };
}

function installedLitestream(server: Pick<Server, 'config' | 'paths'>, text: string): string {
  if (!existsSync(server.paths.database)) return renderLitestream(server, text, []);
  using store = openStore(server.paths);
  return litestreamOf(server, text, store);
}

/** Litestream's configuration as it follows from the management database. */
export function litestreamOf(server: Pick<Server, 'config' | 'paths'>, text: string, store: Store): string {
  const { config, paths } = server;
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
): string {
  const { exact, window } = config.replica;
  return renderLitestreamConfig(text, { socket: paths.litestreamSocket, exact, window, databases });
}
