import type { Command } from '../system/run.ts';

/** A system group. Answers 9 when it exists already. */
export const addGroup = (name: string): Command => ({ argv: ['groupadd', '--system', name], accept: [9] });

/** A system user without shell, password or home of its own making. Answers 9 when it exists already. */
export const addUser = (name: string, group: string, home: string): Command => ({
  argv: [
    'useradd',
    '--system',
    '--gid',
    group,
    '--home-dir',
    home,
    '--no-create-home',
    '--shell',
    '/usr/sbin/nologin',
    name,
  ],
  accept: [9],
});

/** Answers 6 when there is none. */
export const removeUser = (name: string): Command => ({ argv: ['userdel', name], accept: [6] });

/** Answers 6 when there is none. */
export const removeGroup = (name: string): Command => ({ argv: ['groupdel', name], accept: [6] });
