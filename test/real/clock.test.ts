import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/config/config.ts';
import { pathsUnder } from '../../src/config/paths.ts';
import { aheadOfUs, checkClock } from '../../src/inspect/clock.ts';
import { run } from '../../src/system/run.ts';
import { freePort } from './ports.ts';
import { startS3 } from './s3.ts';

test('a storage says what time it is, and one whose clock is another stops the installation', async () => {
  await using s3 = await startS3();
  expect(Math.abs((await aheadOfUs(s3.endpoint)) ?? Infinity)).toBeLessThan(5_000);
  expect(await aheadOfUs(`http://127.0.0.1:${await freePort()}/`)).toBeUndefined();

  const inAnHour = createServer((_, response) => {
    response.setHeader('date', new Date(Date.now() + 3_600_000).toUTCString());
    response.writeHead(403).end();
  }).listen(0, '127.0.0.1');
  await once(inAnHour, 'listening');
  const { port } = inAnHour.address() as AddressInfo;
  const paths = pathsUnder('/');
  const config = parseConfig(`replica: { url: s3://forge/one, endpoint: "http://127.0.0.1:${port}" }`, paths);
  try {
    const [found] = await checkClock(config, run, true);
    expect(found?.verdict).toBe('refuse');
    expect(found?.message).toMatch(
      new RegExp(`^The clock is (1h|59m \\d+s).* behind that of 127.0.0.1:${port}`),
    );
    // A server that only starts again asks nobody.
    expect(await checkClock(config, run, false)).toMatchObject([{ verdict: 'fine' }]);
  } finally {
    inAnHour.close();
  }
});
