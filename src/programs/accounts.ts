import type { Command } from '../system/run.ts';

/**
 * All in a session of their own: what kills us, as Ctrl-C on the terminal, lets them finish. They change several files one after the
 * other, and one that is killed leaves a line in /etc/shadow for nobody.
 */
const account = (argv: Command['argv'], ...accept: number[]): Command => ({
  argv,
  accept,
  detached: true,
});

/** A system group. Answers 9 when it exists already. */
export const addGroup = (name: string): Command => account(['groupadd', '--system', name], 9);

/** A system user without shell, password or home of its own making. Answers 9 when it exists already. */
export const addUser = (name: string, group: string, home: string): Command =>
  account(
    [
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
    9,
  );

/** Answers 6 when there is none. */
export const removeUser = (name: string): Command => account(['userdel', name], 6);

/** Answers 6 when there is none, 8 when it is a user's own by now: that one stays. */
export const removeGroup = (name: string): Command => account(['groupdel', name], 6, 8);
