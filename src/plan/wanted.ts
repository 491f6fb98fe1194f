import type { PartName } from '../stack/parts.ts';

/** Who owns a file or folder, by name. Left out: whoever runs the command. */
export type Owner = { user: string; group: string };

/** Who knows whether rendered files are right, and is asked before they go live. */
export type Checker = 'caddy' | 'systemd' | 'litestream' | 'fossilrepo';

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
      /** What must happen to a part when one of the files changes. */
      then: { part: PartName; action: 'reload' | 'restart' }[];
    }
  | { is: 'secret'; path: string; title: string }
  | { is: 'instance' }
  | { is: 'part'; part: PartName; unit: string };
