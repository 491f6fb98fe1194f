import { type FSWatcher, watch } from 'node:fs';

/**
 * Watches a folder. That the kernel has no watch left for a user (`fs.inotify.max_user_instances`, 128 of them by default) is thrown by
 * Node where other failures are events: whoever watches goes on without, and both are told in one way.
 * @param changed told the name of what changed in it, when the kernel says one
 */
export function watchFolder(
  folder: string,
  changed: (name: string | null) => void,
  failed: (error: unknown) => void,
): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, (_event, name) => {
      changed(name);
    }).on('error', failed);
  } catch (error) {
    failed(error);
    return undefined;
  }
}
