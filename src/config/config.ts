import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { ZodError } from 'zod';
import { OperatorError } from '../errors.ts';
import { type Paths, programHome } from './paths.ts';
import { mistakes } from './rules.ts';
import { configSchema, type WrittenConfig } from './schema.ts';

/** The configuration with nothing left open: what depends on other keys is decided. */
export type Config = Omit<WrittenConfig, 'tls' | 'listen' | 'replica' | 'programs'> & {
  tls: NonNullable<WrittenConfig['tls']>;
  listen: string[];
  /** True where the domain is `localhost` or ends in `.localhost`. */
  local: boolean;
  replica: WrittenConfig['replica'] & { url: string };
  programs: Record<'fossil' | 'caddy' | 'litestream', string>;
};

/**
 * Reads `fossilrepo.yaml`. A missing file is an error: install writes it.
 * @throws OperatorError (configuration) with file:line for each mistake
 */
export function loadConfig(paths: Paths): Config {
  if (!existsSync(paths.config))
    throw new OperatorError(`There is no ${paths.config}.`, {
      next: 'Run fossilrepo install first.',
      exit: 'configuration',
    });
  return parseConfig(readFileSync(paths.config, 'utf8'), paths);
}

/**
 * The text of a `fossilrepo.yaml` as configuration.
 * @throws OperatorError (configuration) with file:line for each mistake
 */
export function parseConfig(text: string, paths: Paths): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const where = (offset: number) => `${paths.config}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0)
    throw invalid(document.errors.map((error) => `${where(error.pos[0])}: ${error.message}`));

  const placeOf = (path: readonly PropertyKey[]): string => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true);
      if (node !== null && typeof node === 'object' && 'range' in node && Array.isArray(node.range))
        return where(Number(node.range[0]));
    }
    return where(0);
  };
  const parsed = configSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) throw invalid(zodMistakes(parsed.error, placeOf));
  const config = decide(parsed.data, paths);
  const broken = mistakes(config);
  if (broken.length > 0)
    throw invalid(broken.map(({ path, message }) => `${placeOf(path)}: ${path.join('.')} ${message}`));
  return config;
}

function decide(written: WrittenConfig, paths: Paths): Config {
  const local = written.domain === 'localhost' || written.domain.endsWith('.localhost');
  const embedded = join(programHome, 'embedded/programs/bin');
  return {
    ...written,
    local,
    tls: written.tls ?? (local ? 'off' : 'auto'),
    listen: written.listen ?? (local ? ['127.0.0.1', '::1'] : ['0.0.0.0', '::']),
    replica: { ...written.replica, url: written.replica.url ?? `file://${paths.replica}` },
    programs: {
      fossil: written.programs.fossil ?? '/usr/bin/fossil',
      caddy: written.programs.caddy ?? join(embedded, 'caddy'),
      litestream: written.programs.litestream ?? join(embedded, 'litestream'),
    },
  };
}

function zodMistakes(error: ZodError, placeOf: (path: readonly PropertyKey[]) => string): string[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map(
        (key) => `${placeOf([...issue.path, key])}: there is no key ${[...issue.path, key].join('.')}`,
      );
    return [`${placeOf(issue.path)}: ${issue.path.join('.')}: ${issue.message}`];
  });
}

function invalid(found: string[]): OperatorError {
  return new OperatorError(found.join('\n'), {
    next: 'Correct the file and run the command again; docs/configure.md describes each key.',
    exit: 'configuration',
  });
}
