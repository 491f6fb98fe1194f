import type { StorageCredentials } from '../secrets/storage.ts';
import type { Listener } from '../stack/listeners.ts';
import type { PartName } from '../stack/parts.ts';
import type { Checker, Consequence, Owner, WantedFile } from './wanted.ts';

/** A file that is about to be written; `former` is what is there now. */
export type ChangedFile = WantedFile & { former: string | undefined };

/** One thing that a command is about to do. A step that would change nothing is not in a plan. */
export type Step =
  | { do: 'group'; name: string }
  | { do: 'user'; name: string; group: string; home: string }
  | { do: 'directory'; path: string; mode: number; owner?: Owner; exists: boolean }
  | { do: 'files'; title: string; files: ChangedFile[]; check: Checker; then: Consequence[] }
  | { do: 'secret'; path: string; title: string }
  | { do: 'storage-keys'; path: string; keys: StorageCredentials; then: Consequence[] }
  | { do: 'instance' }
  | { do: 'units' }
  | { do: 'disable' }
  | { do: 'standing'; units: readonly string[] }
  | { do: 'part'; part: PartName; action: 'start'; listens: readonly Listener[] }
  | { do: 'part'; part: PartName; action: 'reload' | 'restart' | 'stop' }
  | { do: 'remove'; path: string; title: string }
  | { do: 'remove-program'; paths: string[] }
  | { do: 'remove-user'; name: string }
  | { do: 'remove-group'; name: string }
  | { do: 'remove-packages'; names: string[] };
