import type { Command } from 'commander';
import type { GlobalOptions } from '../server.ts';

/** The options that every command takes, wherever on the line they stand. */
export const globals = (command: Command): GlobalOptions => command.optsWithGlobals();
