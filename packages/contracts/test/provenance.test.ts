/** Build provenance: the same facts give the same bytes, and no link of the chain bundle, provenance, bill of materials can be exchanged. */
import { describe, expect, it } from 'vitest';
import {
  Attestation,
  attest,
  type BuildFacts,
  type BundleStatement,
  canonicalBytes,
  digestOf,
  type ErrorCode,
  type Fault,
  provenanceOf,
  sbomOf,
  verifyProvenance,
} from '../src/index.ts';
import { publisher, statement } from './samples.ts';

const alice = publisher();
const trusted = [{ name: 'alice', key: alice.publicKey }];
const facts = (more: Partial<BuildFacts> = {}): BuildFacts => ({
  bundle: { name: 'hello', version: '1.0.0', digest: statement().digest },
  source: { digest: digestOf(new Uint8Array([9])), commit: 'c0ffee', dirty: false },
  builder: { version: '0.1.0', tools: { esbuild: '0.28.2', node: '24.0.0' } },
  dependencies: [
    { name: 'zod', version: '4.0.0', license: 'MIT', uses: [] },
    { name: '@acme/parts', version: '1.2.3-rc.1', license: '(MIT OR Apache-2.0)', uses: ['zod@4.0.0'] },
    { name: 'odd', version: '0.1.0', license: 'SEE LICENSE IN COPYING', uses: [] },
    { name: 'bare', version: '2.0.0', uses: [] },
  ],
  uses: ['@acme/parts@1.2.3-rc.1', 'odd@0.1.0', 'bare@2.0.0'],
  ...more,
});

describe('a bill of materials', () => {
  const sbom = sbomOf(facts());

  it('is CycloneDX 1.6 with every dependency, its licence and who uses it', () => {
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(sbom.components.map(({ purl, licenses }) => [purl, licenses])).toEqual([
      ['pkg:npm/%40acme/parts@1.2.3-rc.1', [{ expression: '(MIT OR Apache-2.0)' }]],
      ['pkg:npm/bare@2.0.0', undefined],
      ['pkg:npm/odd@0.1.0', [{ license: { name: 'SEE LICENSE IN COPYING' } }]],
      ['pkg:npm/zod@4.0.0', [{ expression: 'MIT' }]],
    ]);
    const refs = new Set(['hello@1.0.0', ...sbom.components.map((one) => one['bom-ref'])]);
    const graph = sbom['dependencies'] as { ref: string; dependsOn: string[] }[];
    expect(graph.map(({ ref }) => ref).sort()).toEqual([...refs].sort());
    for (const { dependsOn } of graph) for (const ref of dependsOn) expect(refs).toContain(ref);
    expect(graph.find(({ ref }) => ref === 'pkg:npm/%40acme/parts@1.2.3-rc.1')?.dependsOn).toEqual(['pkg:npm/zod@4.0.0']);
  });

  it('does not depend on the order of what it lists', () => {
    const turned = facts({ dependencies: [...facts().dependencies].reverse() });
    expect(canonicalBytes(sbomOf(turned))).toEqual(canonicalBytes(sbom));
    expect(canonicalBytes(provenanceOf(turned, sbom))).toEqual(canonicalBytes(provenanceOf(facts(), sbom)));
  });
});

describe('provenance', () => {
  const { attestation, digest } = attest(facts(), alice);
  const bound: BundleStatement = statement({ provenance: digest });
  const codeOf = (of: BundleStatement, what: Attestation, signers = trusted): ErrorCode | 'good' => {
    try {
      verifyProvenance(of, what, signers);
      return 'good';
    } catch (error) {
      return (error as Fault).code;
    }
  };

  it('says source, builder and dependencies, and fits its schema as it is written down', () => {
    const read = Attestation.parse(JSON.parse(JSON.stringify(attestation)));
    const { statement: said } = verifyProvenance(bound, read, trusted);
    const { resolvedDependencies } = said.predicate.buildDefinition;
    expect(resolvedDependencies[0]).toMatchObject({
      name: 'source',
      digest: { gitCommit: 'c0ffee' },
      annotations: { dirty: false },
    });
    expect(resolvedDependencies.slice(1).map(({ name }) => name)).toEqual([
      '@acme/parts@1.2.3-rc.1',
      'bare@2.0.0',
      'odd@0.1.0',
      'zod@4.0.0',
    ]);
    expect(said.predicate.runDetails.builder).toMatchObject({ version: { alchemist: '0.1.0' } });
  });

  it('belongs to its bundle and to no other, and its parts cannot be exchanged', () => {
    expect(codeOf(bound, attestation)).toBe('good');
    expect(codeOf(statement(), attestation)).toBe('digest-mismatch');
    const other = attest(facts({ source: { digest: digestOf(new Uint8Array([8])) } }), alice);
    expect(codeOf(bound, other.attestation)).toBe('digest-mismatch');
    // Provenance of another bundle, bound by a careless statement.
    const elsewhere = attest(facts({ bundle: { ...facts().bundle, digest: digestOf(new Uint8Array([7])) } }), alice);
    expect(codeOf(statement({ provenance: elsewhere.digest }), elsewhere.attestation)).toBe('digest-mismatch');
    const lessSbom = { ...attestation.sbom, components: attestation.sbom.components.slice(1) };
    expect(codeOf(bound, { ...attestation, sbom: lessSbom })).toBe('digest-mismatch');
    const payload = Buffer.from(attestation.provenance.payload, 'base64').toString().replace('c0ffee', 'decade');
    const edited = { ...attestation.provenance, payload: Buffer.from(payload).toString('base64') };
    expect(codeOf(bound, { ...attestation, provenance: edited })).toBe('digest-mismatch');
    expect(codeOf(statement({ provenance: digestOf(Buffer.from(payload)) }), { ...attestation, provenance: edited })).toBe(
      'signature-invalid',
    );
    expect(codeOf(bound, attestation, [{ name: 'bob', key: publisher().publicKey }])).toBe('signer-unknown');
  });
});
