import type { PartName } from '../stack/parts.ts';
import { partNames } from '../stack/parts.ts';
import type { ChangedFile, Step } from './steps.ts';
import type { Consequence, Owner, Wanted, WantedFile } from './wanted.ts';

/** What is there now, as far as the wanted things go. Keys are names and paths. */
export type Found = {
  groups: ReadonlySet<string>;
  users: ReadonlySet<string>;
  directories: ReadonlyMap<string, { mode: number; owner: Owner }>;
  files: ReadonlyMap<string, { content: string; mode: number; owner: Owner }>;
  /** Secret files that exist. */
  secrets: ReadonlySet<string>;
  /** Whether the management database holds an instance and its administrator. */
  instance: boolean;
  /** Whether the storage's keys in place are those given with the command. */
  storageKeys: boolean;
  /** What parts have yet to do since a killed command. */
  due: Partial<Record<PartName, 'reload' | 'restart'>>;
  /** `outdated`: it runs, but with other arguments than wanted. */
  parts: ReadonlyMap<PartName, 'running' | 'stopped' | 'outdated'>;
  /** Units besides the parts that don't run, or wouldn't after a boot. */
  atRest: ReadonlySet<string>;
};

/** The steps from what is found to what is wanted, in the order of the wanted list, parts last. Nothing to do: an empty list. */
export function planChanges(wanted: readonly Wanted[], found: Found): Step[] {
  const steps: Step[] = [];
  const due: Found['due'] = { ...found.due };
  const dueAfter = (then: readonly Consequence[]) => {
    for (const { part, action } of then) if (due[part] !== 'restart') due[part] = action;
  };
  for (const thing of wanted) {
    if (thing.is === 'files') {
      const files = changedFiles(thing.files, found);
      if (files.length === 0) continue;
      steps.push({ do: 'files', title: thing.title, files, check: thing.check, then: thing.then });
      dueAfter(thing.then);
    } else if (thing.is === 'storage-keys') {
      if (found.storageKeys) continue;
      steps.push({ do: 'storage-keys', path: thing.path, keys: thing.keys, then: thing.then });
      dueAfter(thing.then);
    } else if (thing.is !== 'part' && thing.is !== 'standing') {
      steps.push(...missing(thing, found));
    }
  }
  if (steps.some((step) => step.do === 'files' && step.check === 'systemd')) steps.push({ do: 'units' });
  const parts = new Map(
    wanted.flatMap((thing) => (thing.is === 'part' ? [[thing.part, thing.listens] as const] : [])),
  );
  for (const part of partNames) {
    const listens = parts.get(part);
    if (listens === undefined) continue;
    const state = found.parts.get(part) ?? 'stopped';
    if (state === 'stopped') steps.push({ do: 'part', part, action: 'start', listens });
    else if (state === 'outdated') steps.push({ do: 'part', part, action: 'restart' });
    else {
      const action = due[part];
      if (action !== undefined) steps.push({ do: 'part', part, action });
    }
  }
  // A part's start starts these, too.
  const starts = steps.some((step) => step.do === 'part' && step.action === 'start');
  const units = wanted
    .flatMap((thing) => (thing.is === 'standing' ? thing.units : []))
    .filter((unit) => found.atRest.has(unit));
  if (!starts && units.length > 0) steps.push({ do: 'standing', units });
  return steps;
}

function missing(
  thing: Exclude<Wanted, { is: 'files' | 'storage-keys' | 'standing' | 'part' }>,
  found: Found,
): Step[] {
  switch (thing.is) {
    case 'group':
      return found.groups.has(thing.name) ? [] : [{ do: 'group', name: thing.name }];
    case 'user':
      return found.users.has(thing.name)
        ? []
        : [{ do: 'user', name: thing.name, group: thing.group, home: thing.home }];
    case 'directory': {
      const there = found.directories.get(thing.path);
      if (there && (thing.shared || (there.mode === thing.mode && sameOwner(thing.owner, there.owner))))
        return [];
      const owner = thing.owner && { owner: thing.owner };
      return [{ do: 'directory', path: thing.path, mode: thing.mode, exists: there !== undefined, ...owner }];
    }
    case 'secret':
      return found.secrets.has(thing.path) ? [] : [{ do: 'secret', path: thing.path, title: thing.title }];
    case 'instance':
      return found.instance ? [] : [{ do: 'instance' }];
  }
}

function changedFiles(files: readonly WantedFile[], found: Found): ChangedFile[] {
  return files.flatMap((file) => {
    const there = found.files.get(file.path);
    const same =
      there?.content === file.content && there.mode === file.mode && sameOwner(file.owner, there.owner);
    return same ? [] : [{ ...file, former: there?.content }];
  });
}

const sameOwner = (wanted: Owner | undefined, there: Owner) =>
  wanted === undefined || (wanted.user === there.user && wanted.group === there.group);
