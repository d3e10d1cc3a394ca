/**
 * Everything in the daemons that reads what others wrote: each place is listed with where it is tried with garbage, so that a new one cannot
 * come without. The registry's own row decoders are tried here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '@cim/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { catalogRow } from '../packages/registry/src/catalog.ts';
import { certificateCaller } from '../packages/registry/src/certificates.ts';
import { desiredRow } from '../packages/registry/src/desired.ts';
import { nodeRow } from '../packages/registry/src/fleet.ts';
import { addressGroup } from '../packages/registry/src/http/failures.ts';
import { screen } from '../packages/registry/src/http/screen.ts';
import { objectMeta } from '../packages/registry/src/store/objects.ts';
import { tokenRow } from '../packages/registry/src/tokens.ts';
import { nodeStatus } from '../packages/registry/test/support.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HERE = 'test/decoders.test.ts';
/** Schemas of contracts: garbage.test.ts tries every one that is exported, so what goes through `decodeJson` alone is tried there. */
const SCHEMAS = 'packages/contracts/test/garbage.test.ts';
const FUZZ = 'test/fuzz/registry.test.ts';
const WIRE = 'packages/node-agent/test/sandbox/wire.test.ts';
const DOOR = 'packages/node-agent/test/host/host-door.test.ts';
/** Reads only what this process or its build wrote. */
const OWN = 'own';

/** Source to the tests that hand it garbage. */
const tried: Readonly<Record<string, readonly string[]>> = {
  'registry/src/catalog.ts': [HERE],
  'registry/src/config.ts': ['packages/registry/test/units.test.ts'],
  'registry/src/desired.ts': [HERE, FUZZ],
  'registry/src/enrol/identities.ts': [SCHEMAS, FUZZ],
  'registry/src/fleet.ts': [HERE],
  'registry/src/http/faults.ts': [FUZZ],
  'registry/src/http/handlers-catalog.ts': [FUZZ, 'packages/registry/test/access.test.ts'],
  'registry/src/http/routes.ts': [FUZZ],
  'registry/src/provenance.ts': [SCHEMAS, FUZZ],
  'registry/src/store/chain-log.ts': [SCHEMAS, 'packages/registry/test/audit.test.ts'],
  'registry/src/store/event-log.ts': [SCHEMAS, 'packages/registry/test/events.test.ts'],
  'registry/src/store/objects.ts': [HERE],
  'registry/src/token-file.ts': [SCHEMAS, 'packages/registry/test/access.test.ts'],
  'registry/src/tokens.ts': [HERE, FUZZ],
  'registry/src/trust.ts': [SCHEMAS, FUZZ],
  'registry/src/version.ts': [OWN],
  'node-agent/src/bundle/floors.ts': [SCHEMAS, 'packages/node-agent/test/bundle/floors.test.ts'],
  'node-agent/src/config.ts': [SCHEMAS],
  'node-agent/src/desired/record-file.ts': [SCHEMAS, 'packages/node-agent/test/desired/store.test.ts'],
  'node-agent/src/desired/store.ts': ['packages/node-agent/test/desired/store.test.ts'],
  'node-agent/src/enrol/ask-registry.ts': [SCHEMAS],
  'node-agent/src/enrol/command.ts': [SCHEMAS],
  'node-agent/src/enrol/credentials-file.ts': ['packages/node-agent/test/enrol/enrol.test.ts'],
  'node-agent/src/host/egress.ts': ['packages/node-agent/test/host/egress.test.ts'],
  'node-agent/src/host/host-door.ts': [DOOR],
  'node-agent/src/host/redact.ts': [OWN],
  'node-agent/src/host/secrets.ts': ['packages/node-agent/test/host/secrets.test.ts'],
  'node-agent/src/hub/bundle-fetch.ts': [SCHEMAS],
  'node-agent/src/hub/forwarder.ts': [OWN],
  'node-agent/src/hub/subscriber.ts': ['packages/node-agent/test/hub/hub.test.ts'],
  'node-agent/src/hub/workload-kv.ts': [DOOR],
  'node-agent/src/sandbox/from-cell.ts': [WIRE],
  'node-agent/src/sandbox/protocol.ts': [WIRE],
  'node-agent/src/trust/log-witness.ts': [SCHEMAS, 'packages/node-agent/test/trust/log-witness.test.ts'],
  'node-agent/src/trust/store.ts': [SCHEMAS, 'packages/node-agent/test/trust/store.test.ts'],
  'node-agent/src/version.ts': [OWN],
};

/** Inside a cell: what the daemon or the guest itself says there is no wire of the daemon's. */
const INSIDE = /^node-agent\/src\/sandbox\/(cell|prelude)\//;
const DECODES = /\bdecodeJson\(|\bJSON\.parse\(|\.safeParse\(|(?<![.\w])decode\(/;

const sources = ['registry', 'node-agent'].flatMap((name) =>
  readdirSync(join(ROOT, 'packages', name, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(join(ROOT, 'packages'), join(entry.parentPath, entry.name)))
    .filter((path) => !INSIDE.test(path))
    .filter((path) => DECODES.test(readFileSync(join(ROOT, 'packages', path), 'utf8'))),
);

describe('every decoder that faces the wire', () => {
  test.each(sources)('%s is tried with garbage', (path) => {
    expect([path, path in tried], `list it in ${HERE} with the test that hands it garbage`).toEqual([path, true]);
    for (const proof of tried[path]!) if (proof !== OWN) expect([proof, existsSync(join(ROOT, proof))]).toEqual([proof, true]);
  });

  test('and none is listed that is no more', () => {
    expect(Object.keys(tried).filter((path) => !sources.includes(path))).toEqual([]);
  });
});

test('whatever of ours connects to NATS does so through the one door (contracts/wire), past which no stranger ends a connection', () => {
  const library = /import\s*\{[^}]*\bconnect\b[^}]*\}\s*from '@nats-io\/transport-node'/;
  const through = (path: string) => library.test(readFileSync(join(ROOT, 'packages', path), 'utf8'));
  const sources = ['alchemist', 'contracts', 'fleet', 'node-agent', 'registry'].flatMap((room) =>
    readdirSync(join(ROOT, 'packages', room, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => `${room}/src/${path}`),
  );
  expect(sources.length).toBeGreaterThan(200);
  expect(sources.filter(through)).toEqual([]);
  // It would find one: the tests' own connections are the library's.
  expect(through('testkit/src/nats.ts')).toBe(true);
});

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.json({ maxDepth: 4 }).map((text) => new TextEncoder().encode(text)),
  fc
    .constantFrom('null', '[]', '{"id":1}', '{"__proto__":{}}', `${'['.repeat(20_000)}`)
    .map((text) => new TextEncoder().encode(text)),
);
const key = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('channel.a.b', 'version.a.1_0_0', 'cim-a', 'cim-a.agent.x'));

describe('what the registry finds in its buckets', () => {
  const rows = { catalogRow, desiredRow, nodeRow, tokenRow } as const;
  test.each(Object.entries(rows))('%s answers anything with a row or a fault', (_, row) => {
    fc.assert(
      fc.property(key, bytes, (name, value) => {
        try {
          row(name, value);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a row never speaks for another key', () => {
    const status = new TextEncoder().encode(JSON.stringify(nodeStatus('cim-a')));
    expect(nodeRow('cim-a', status).instance).toBe('cim-a');
    expect(() => nodeRow('cim-b', status)).toThrow(Fault);
    const token = {
      id: '0'.repeat(16),
      name: 'a',
      sha256: '0'.repeat(64),
      roles: ['admin'],
      createdAt: '2026-01-01T00:00:00Z',
      createdBy: 'b',
    };
    const stored = new TextEncoder().encode(JSON.stringify(token));
    expect(tokenRow(token.id, stored).name).toBe('a');
    expect(() => tokenRow('1'.repeat(16), stored)).toThrow(Fault);
  });

  test('a meta message of an object store is one or none', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const meta = objectMeta(value);
        expect(meta === undefined || typeof meta.nuid === 'string').toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('what the registry hears before it knows who speaks', () => {
  test('any head of a request is taken or refused with a fault', () => {
    const header = fc.oneof(
      fc.constantFrom('Host', 'authorization', 'Content-Length', 'transfer-encoding'),
      fc.string({ maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(header, fc.string({ maxLength: 20 })), { maxLength: 80 }), fc.string(), (pairs, url) => {
        const headers = Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]));
        const fault = screen({ rawHeaders: pairs.flat(), headers, url });
        if (fault) expect(fault.row.status).toBeLessThan(500);
        const once = pairs.filter(([name]) => name.toLowerCase() === 'authorization');
        if (once.length > 1) expect(fault).toBeDefined();
      }),
    );
  });

  test('any certificate is somebody we named or nobody', () => {
    const clients = [{ name: 'a', fingerprint: 'ab'.repeat(32), roles: ['viewer'] }] as never;
    const shown = fc.record({
      fingerprint256: fc.oneof(fc.string(), fc.constant('AB:'.repeat(31).concat('AB'))),
      subject: fc.string(),
      validFrom: fc.oneof(fc.string(), fc.constant('Jan 1 00:00:00 2026 GMT')),
      validTo: fc.oneof(fc.string(), fc.constant('Jan 1 00:00:00 2027 GMT')),
      authorized: fc.boolean(),
    });
    fc.assert(
      fc.property(shown, (one) => {
        const caller = certificateCaller(one, clients, Date.parse('2026-06-01'));
        if (caller) expect(one.fingerprint256.replaceAll(':', '').toLowerCase()).toBe('ab'.repeat(32));
      }),
    );
  });

  test('any address has a group', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (ip) => {
        expect(typeof addressGroup(ip)).toBe('string');
      }),
    );
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        expect(addressGroup(ip).split(':').length).toBeLessThanOrEqual(4);
      }),
    );
  });
});
