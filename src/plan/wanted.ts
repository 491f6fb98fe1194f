import type { StorageCredentials } from '../secrets/storage.ts';
import type { Listener } from '../stack/listeners.ts';
import type { PartName } from '../stack/parts.ts';

/** Who owns a file or folder, by name. Left out: whoever runs the command. */
export type Owner = { user: string; group: string };

/** Who knows whether rendered files are right, and is asked before they go live. */
export type Checker =
  | 'caddy'
  | 'certificate'
  | 'systemd'
  | 'tmpfiles'
  | 'fossilrepo'
  /** The databases that are meant: to Litestream a mistyped key is no error. */
  | { litestream: readonly string[] };

/** What must happen to a part when something that it reads changes. */
export type Consequence = { part: PartName; action: 'reload' | 'restart' };

export type WantedFile = {
  path: string;
  content: string;
  mode: number;
  owner?: Owner;
};

/** One thing that a server shall have. A list of these is what the configuration means. */
export type Wanted =
  | { is: 'group'; name: string }
  | { is: 'user'; name: string; group: string; home: string }
  | {
      is: 'directory';
      path: string;
      mode: number;
      owner?: Owner;
      /** Kept by `uninstall` without `--purge`. */ data: boolean;
      /** The operator's own: left as it is when it exists. */ shared?: true;
    }
  | {
      is: 'files';
      title: string;
      files: WantedFile[];
      check: Checker;
      then: Consequence[];
    }
  | { is: 'secret'; path: string; title: string }
  | { is: 'storage-keys'; path: string; keys: StorageCredentials; then: Consequence[] }
  | { is: 'instance' }
  | { is: 'standing'; units: readonly string[] }
  | { is: 'part'; part: PartName; unit: string; listens: readonly Listener[] };
