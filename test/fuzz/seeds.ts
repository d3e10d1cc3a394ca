/**
 * What would be taken: for each operation that changes something, bodies that are whole, signed and meant for it, so that the fuzzer gets
 * behind every door and spoils good requests, instead of being refused at each.
 *
 * A body is made when it is sent: a trust document needs a higher number each time, a renewal the time of day.
 */
import {
  attest,
  type BundleStatement,
  digestOf,
  enrolRequest,
  type KeyPair,
  newKeyPair,
  renewRequest,
  type Signer,
  signDesired,
  signStatement,
  signTrust,
  TrustDocument,
} from '@cim/contracts';
import { largeBundle, type TestBundle, testBundle } from '@cim/testkit';
import { Kvm } from '@nats-io/kv';
import { desiredFor, nodeStatus, type RegistryProcess, roles, type World } from '../../packages/registry/test/support.ts';
import type { ApiDocument, Given, Pools } from './requests.ts';

const strangers = ['nobody', 'wrong'];

/** @param operator signs what operators sign; the registry trusts it */
export async function seeds(document: ApiDocument, hub: World, registry: RegistryProcess, operator: Signer): Promise<Pools> {
  const bundles = await Promise.all([
    testBundle({ name: 'alpha' }),
    testBundle({ name: 'alpha', version: '1.1.0', sequence: 2 }),
    testBundle({ name: 'beta', kind: 'service' }),
    testBundle({ name: 'gamma', manifest: { capabilities: { 'gamma.do': {}, 'gamma.undo': {} } } }),
    largeBundle(300_000, { name: 'heavy' }),
  ]);
  const [alpha, newer, beta] = bundles as unknown as [TestBundle, TestBundle, TestBundle];
  for (const bundle of [alpha, beta]) await registry.publish(bundle, { channel: 'stable' });
  await registry.publish(newer);
  const built = withProvenance(await testBundle({ name: 'built' }));
  await registry.publish(built.bundle);
  const kv = await new Kvm(hub.admin).open('CIM_NODES');
  await kv.put('cim-a', JSON.stringify(nodeStatus('cim-a')));
  const token = async (name: string): Promise<string> =>
    (await registry.ask('POST', '/api/v1/tokens', { body: { name, roles: ['viewer'] } })).body.id;
  const made = await token('seed');
  const spare = await token('spare');
  const documents = ['cim-a', 'cim-b', 'cim-c'].flatMap((instance) =>
    [alpha, newer, beta].map((bundle): Given => {
      const { document: of } = desiredFor(bundle, { instance });
      const { kind, name } = of;
      const value = { document: of, signatures: [signDesired(of, operator)] };
      return { make: () => value, at: { instance, kind, name, 'if-none-match': '*' } };
    }),
  );
  return {
    components: document.components.schemas ?? {},
    words: [
      'alpha',
      'beta',
      'gamma',
      'cim-a',
      'cim-b',
      'stable',
      'edge',
      '1.0.0',
      '1.1.0',
      '^1.0.0',
      'agent',
      'service',
      'hub',
      alpha.statement.digest,
      newer.statement.digest,
      made,
      '"1"',
      '"3"',
      '*',
      'agent.*.deployed',
      'alpha.echo',
      '1',
      '7',
      'true',
      alpha.signer.publicKey,
    ],
    roles: [...roles, ...roles, ...roles, ...strangers],
    bundles,
    bodies: {
      'PUT /api/v1/desired/{instance}/{kind}/{name}': documents,
      'PUT /api/v1/catalog/{name}/channels/{channel}': [
        { make: () => ({ version: '1.0.0' }), at: { name: 'alpha', channel: 'edge' } },
        { make: () => ({ version: '1.1.0' }), at: { name: 'alpha', channel: 'stable' } },
      ],
      'POST /api/v1/tokens': [
        { make: () => ({ name: 'made', roles: ['viewer'] }) },
        { make: () => ({ name: 'made', roles: ['publisher'], scope: { workloads: ['al*'] } }) },
      ],
      'DELETE /api/v1/tokens/{id}': [{ make: () => undefined, at: { id: spare } }],
      'PUT /api/v1/trust': [{ make: trustDocuments(operator) }],
      'PUT /api/v1/catalog/{name}/versions/{version}/provenance': [
        { make: () => built.attestation, at: { name: 'built', version: '1.0.0' } },
      ],
      'POST /api/v1/enrolments': [
        { make: () => ({ instance: 'cim-a', serves: ['alpha.*'] }) },
        { make: () => ({ instance: 'cim-far', serves: [], validSeconds: 600 }) },
      ],
      ...(await identities(registry)),
      'GET /api/v1/desired/{instance}/{kind}/{name}': documents.map(({ at }) => ({ make: () => undefined, at: at! })),
      'GET /api/v1/catalog/{name}/versions/{version}/provenance': [
        { make: () => undefined, at: { name: 'built', version: '1.0.0' } },
      ],
    },
  };
}

/** One after the other, each newer than the last and taking nothing back. */
function trustDocuments(operator: Signer): () => unknown {
  let sequence = 0;
  return () => {
    const of = TrustDocument.parse({
      api: 1,
      sequence: ++sequence,
      issuedAt: '2026-01-01T00:00:00Z',
      issuedBy: 'the fuzzer',
      publishers: [],
      revokedKeys: [],
      revokedBundles: [{ digest: digestOf(new Uint8Array([1, 2, 3])), reason: 'a seed', at: '2026-01-01T00:00:00Z' }],
    });
    return { document: of, signatures: [signTrust(of, operator)] };
  };
}

function withProvenance(bundle: TestBundle): { readonly bundle: TestBundle; readonly attestation: unknown } {
  const { attestation, digest } = attest(
    {
      bundle: bundle.statement,
      source: { digest: digestOf(new Uint8Array([1])), commit: 'c0ffee', dirty: false },
      builder: { version: '0.1.0', tools: {} },
      dependencies: [{ name: 'zod', version: '4.0.0', license: 'MIT', uses: [] }],
      uses: ['zod@4.0.0'],
    },
    bundle.signer,
  );
  const statement: BundleStatement = { ...bundle.statement, provenance: digest };
  return { bundle: { ...bundle, statement, envelope: signStatement(statement, bundle.signer) }, attestation };
}

/** Machines that were let in: some enrol (again and again, with the same key), some renew, one is there to be revoked. */
async function identities(registry: RegistryProcess): Promise<Record<string, readonly Given[]>> {
  const now = () => Math.floor(Date.now() / 1000);
  const order = async (instance: string): Promise<string> =>
    (await registry.ask('POST', '/api/v1/enrolments', { body: { instance, serves: ['alpha.*'] } })).body.token;
  const enrolled = async (instance: string): Promise<KeyPair> => {
    const key = newKeyPair('user');
    await registry.ask('POST', '/api/v1/enrol', {
      role: null,
      body: enrolRequest(await order(instance), instance, key, now()),
    });
    return key;
  };
  const newcomers = await Promise.all(['cim-a', 'cim-b', 'cim-new'].map(async (name) => ({ name, token: await order(name) })));
  const same = await enrolled('cim-same');
  const pair = [await enrolled('cim-pair'), newKeyPair('user')] as const;
  await enrolled('cim-gone');
  let turn = 0;
  return {
    'POST /api/v1/enrol': newcomers.map(({ name, token }) => {
      const key = newKeyPair('user');
      return { make: () => enrolRequest(token, name, key, now()) };
    }),
    'POST /api/v1/enrol/renewal': [
      { make: () => renewRequest('cim-same', same, undefined, now()) },
      // From the one key to the other, and after that from either to either.
      {
        make: () => {
          const first = turn++ === 0;
          const from = first ? pair[0] : pair[turn % 2]!;
          return renewRequest('cim-pair', from, first ? pair[1] : pair[(turn + 1) % 2]!, now());
        },
      },
    ],
    'POST /api/v1/identities/{instance}/revocation': [{ make: () => undefined, at: { instance: 'cim-gone' } }],
  };
}
