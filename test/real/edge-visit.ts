import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { repositoryFile } from '../../src/config/paths.ts';
import { type Answer, ask } from './edge-ask.ts';
import { dev, type Stage } from './edge-stage.ts';

/** A page as a browser asks for it at NAME.localhost. */
export const visit = (
  stage: Stage,
  path: string,
  headers: Record<string, string> = {},
  host = 'alpha.localhost',
): Promise<Answer> => ask({ port: stage.config.ports.http, host, path, headers });

/** One value of a repository, read as Fossil wrote it. */
export function valueOf(stage: Stage, name: string, sql: string): unknown {
  const database = new DatabaseSync(repositoryFile(stage.paths, name), { readOnly: true, timeout: 5000 });
  try {
    return Object.values(database.prepare(sql).get() ?? {})[0];
  } finally {
    database.close();
  }
}

/** Signs in as a browser does. Answers the whole reply. @param path of the form: with or without /NAME */
export function signIn(
  stage: Stage,
  name: string,
  { headers, path }: { headers?: Record<string, string>; path?: string } = {},
): Promise<Answer> {
  return ask({
    port: stage.config.ports.http,
    host: `${name}.localhost`,
    path: path ?? `/${name}/login`,
    method: 'POST',
    body: `u=${dev.login}&p=${dev.password}&g=timeline&in=Log+In`,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      referer: `http://${name}.localhost:${stage.config.ports.http}/${name}/login`,
      ...headers,
    },
  });
}

/** Clones with the real client, checks the files in and pushes them. Answers the check-out's folder. */
export async function push(
  stage: Stage,
  url: string,
  name: string,
  files: Record<string, string | Buffer>,
  message: string,
): Promise<string> {
  const work = join(stage.folder, name);
  mkdirSync(work);
  await stage.fossil(['clone', '--save-http-password', url, `${work}.fossil`]);
  await stage.fossil(['open', `${work}.fossil`], { cwd: work });
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(join(work, file, '..'), { recursive: true });
    writeFileSync(join(work, file), content);
  }
  await stage.fossil(['add', '.'], { cwd: work });
  await stage.fossil(['commit', '-m', message, '--no-warnings'], { cwd: work });
  return work;
}
