import { Agent, request } from 'node:http';
import type { TestForge } from '../real/forge.ts';
import { cloneOf } from './clone.ts';
import { type Bench, percentile, type Row, series, time } from './row.ts';
import { interleaved } from './timing.ts';

/** A repository's timeline through the edge, and by Fossil itself; on new connections, and on one that is kept. */
export async function page({ quick }: Bench, forge: TestForge, name: string): Promise<Row[]> {
  using clone = await cloneOf(forge, name);
  for (let count = 0; count < (quick ? 3 : 30); count++) await clone.commit();
  await clone.push();
  const rounds = quick ? 20 : 300;
  const rows: Row[] = [];
  for (const keepAlive of [false, true]) {
    const [edge, direct] = [new Agent({ keepAlive, maxSockets: 1 }), new Agent({ keepAlive, maxSockets: 1 })];
    const path = `/${name}/timeline`;
    const host = `${name}.localhost:${forge.ports.http}`;
    const works = {
      ours: () => get(edge, forge.ports.http, host, path),
      fossil: () => get(direct, forge.ports.fossil, `127.0.0.1:${forge.ports.fossil}`, path),
    };
    await interleaved(5, works);
    const { ours, fossil } = await interleaved(rounds, works);
    const more = percentile(ours, 50) - percentile(fossil, 50);
    rows.push({
      name: `page /timeline, keep-alive ${keepAlive ? 'on' : 'off'}, p50 / p99`,
      ours: `${series(ours)} (p50 +${time(more)})`,
      instead: `Fossil directly: ${series(fossil)}`,
      goal: '+3 ms at p50',
      met: more <= 3,
    });
    edge.destroy();
    direct.destroy();
  }
  return rows;
}

function get(agent: Agent, port: number, host: string, path: string): Promise<void> {
  // Fossil shows robots less.
  const headers = { host, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0' };
  return new Promise((resolve, reject) => {
    const asked = request({ agent, host: '127.0.0.1', port, path, headers }, (answer) => {
      let length = 0;
      answer.on('data', (piece: Buffer) => (length += piece.length));
      answer.on('error', reject);
      answer.on('end', () =>
        answer.statusCode === 200 && length > 2_000
          ? resolve()
          : reject(new Error(`${host}${path} answered ${answer.statusCode ?? 0}, ${length} bytes`)),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}
