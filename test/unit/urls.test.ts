import { expect, test } from 'vitest';
import { forgeUrl, repositoryUrl } from '../../src/repos/urls.ts';

const ports = { http: 8080, https: 8443, repositories: 8081, fossil: 21000, ask: 21001 };

test.each([
  ['off', 'http://localhost:8080', 'http://demo.localhost:8080/', 'http://localhost:8081/demo'],
  ['internal', 'https://localhost:8443', 'https://demo.localhost:8443/', 'https://localhost:8081/demo'],
] as const)('with tls: %s the forge is at %s', (tls, forge, byName, byPath) => {
  const config = { tls, domain: 'localhost', ports };
  expect(forgeUrl(config)).toBe(forge);
  expect(repositoryUrl(config, 'demo', 'names')).toBe(byName);
  expect(repositoryUrl(config, 'demo', 'paths')).toBe(byPath);
});
