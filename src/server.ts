import { existsSync } from 'node:fs';
import { type Config, loadConfig, parseConfig } from './config/config.ts';
import { type Paths, pathsUnder } from './config/paths.ts';
import { stackOf } from './stack/parts.ts';
import { type Supervisor, supervisorOf } from './stack/supervisor.ts';
import { type Output, terminal } from './system/output.ts';
import { run, type Run } from './system/run.ts';
import { hasStorageKeys } from './secrets/load.ts';

/** Options that every command takes. */
export type GlobalOptions = { root: string; json: boolean };

/** One server: what its operator wants of it, where it is, and the machine it is on. */
export type Server = {
  config: Config;
  paths: Paths;
  run: Run;
  supervisor: Supervisor;
  out: Output;
};

/** The server whose configuration is in place. @throws OperatorError (configuration) */
export function openServer(options: GlobalOptions): Server {
  const paths = pathsUnder(options.root);
  return serverOf(loadConfig(paths), paths, terminal(options.json));
}

/** The server as another configuration text would have it. @throws OperatorError (configuration) */
export function serverWith(configText: string, options: GlobalOptions): Server {
  const paths = pathsUnder(options.root);
  return serverOf(parseConfig(configText, paths), paths, terminal(options.json));
}

function serverOf(written: Config, paths: Paths, out: Output): Server {
  const config = { ...written, listen: present(written.listen) };
  return { config, paths, run, supervisor: supervisorOf(paths, config, run), out };
}

/** A machine without IPv6 can't listen on `::1`, which is among the defaults, and Caddy doesn't start when one address fails. */
function present(addresses: readonly string[]): string[] {
  const haveSix = existsSync('/proc/net/if_inet6');
  return addresses.filter((address) => haveSix || !address.includes(':'));
}

/** The parts of this server. */
export function stackOfServer({ config, paths }: Pick<Server, 'config' | 'paths'>) {
  return stackOf(config, paths, hasStorageKeys(paths));
}
