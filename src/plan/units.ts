import type { Config } from '../config/config.ts';
import { type Paths, programHome } from '../config/paths.ts';
import { type Part, type PartName, partNames, unitOf } from '../stack/parts.ts';
import { renderTemplate } from './template.ts';

/** A unit file; `part` is what has to restart when it changes. */
export type Unit = { name: string; content: string; part?: PartName };

/** Brings mirrors up to date; it is no part, since it only runs now and then. */
export const syncUnit = 'fossilrepo-sync.service';

/** What starts the one-shots; running as long as the server does. */
export const triggerUnits = [
  'fossilrepo-ownership.path',
  'fossilrepo-bundle.timer',
  'fossilrepo-sync.timer',
  'fossilrepo-sync.path',
] as const;

/** What has to be started and enabled besides the parts: without these no dropped-in file, bundle or mirror is seen to. */
export const standingUnits = ['fossilrepo.target', ...triggerUnits] as const;

/**
 * Units that are no part: the target that holds all together, and the one-shots with what starts them. Two are root's: one gives dropped-in
 * files to the right owner, one seals what is secret for the replica. The third brings mirrors up to date.
 */
export const plainUnits = [
  ...standingUnits,
  'fossilrepo-ownership.service',
  'fossilrepo-bundle.service',
  syncUnit,
] as const;

/** Everything for /etc/systemd/system. */
export function renderUnits(
  templates: Readonly<Record<string, string>>,
  stack: Record<PartName, Part>,
  paths: Paths,
  config: Config,
): Unit[] {
  const folder = config.replica.url.startsWith('file://')
    ? `-${config.replica.url.slice('file://'.length)}`
    : '';
  const text = (name: string) => {
    const found = templates[name];
    if (found === undefined) throw new Error(`templates/${name} is missing`);
    return found;
  };
  const view = { paths, config, programHome, libraries: librariesOf(process.arch), replicaFolder: folder };
  return [
    ...plainUnits.map((name) => ({
      name,
      content: renderTemplate(text(name), { ...view, part: undefined }),
    })),
    ...partNames.map((part) => {
      const name = unitOf(part);
      return {
        name,
        part,
        content: renderTemplate(text(name), { ...view, part: partView(stack[part], paths) }),
      };
    }),
  ];
}

/** What a unit's template needs of a part, in systemd's own quoting. */
function partView(part: Part, paths: Paths) {
  return {
    title: part.title,
    user: part.user,
    exec: part.argv.map(quote).join(' '),
    // %d is the folder where systemd puts a unit's credentials.
    environment: Object.entries(part.env)
      .map(([name, value]) => `Environment=${quote(`${name}=${value}`).replaceAll('{credentials}', '%d')}`)
      .join('\n'),
    credentials: part.credentials.map((name) => `LoadCredential=${name}:${paths.secrets}/${name}`).join('\n'),
    unset: part.unset.join(' '),
    lowPorts: part.lowPorts,
  };
}

/** A word for ExecStart= and Environment=: percent and dollar signs doubled, quoted where it has to be. */
function quote(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s"'\\;]/.test(escaped) ? `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : escaped;
}

/**
 * The tmpfiles.d file of folders that have to be there at every boot.
 * @param template the text of `templates/tmpfiles.conf`
 */
export function renderTmpfiles(
  template: string,
  folders: readonly { path: string; mode: number; user: string; group: string }[],
): string {
  return renderTemplate(template, {
    folders: folders.map((folder) => ({ ...folder, mode: folder.mode.toString(8).padStart(4, '0') })),
  });
}

/** Where Debian keeps shared libraries: the whole folder is executable for Fossil and for syncs, with the small programs that some packages keep there. */
const librariesOf = (architecture: string) =>
  `/usr/lib/${architecture === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
