/** Sealed secrets: only the right node, for the right workload and name, and never in a fault. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  Fault,
  LARGEST_SECRET,
  newSealingSeed,
  type SealContext,
  type SealedSecret,
  sealSecret,
  unsealerFromSeed,
} from '../src/index.ts';

const node = unsealerFromSeed(newSealingSeed());
const context: SealContext = { instance: 'cim-a', kind: 'agent', name: 'mailer', secret: 'smtp-password' };
const faultOf = (work: () => unknown): Fault => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return error as Fault;
  }
  throw new Error('expected a fault');
};

test('whatever text is sealed comes out as it went in', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
      (secret) => {
        expect(node.open(sealSecret(secret, node.publicKey, context), context)).toBe(secret);
      },
    ),
    { numRuns: 25 },
  );
});

test('two boxes of one secret have nothing in common', () => {
  const [one, other] = [sealSecret('same', node.publicKey, context), sealSecret('same', node.publicKey, context)];
  expect(one.from).not.toBe(other.from);
  expect(one.box).not.toBe(other.box);
});

test('another node cannot open it', () => {
  const other = unsealerFromSeed(newSealingSeed());
  const sealed = sealSecret('hunter2', node.publicKey, context);
  expect(faultOf(() => other.open(sealed, context)).code).toBe('secret-unsealable');
  // Nor when the hub says it is meant for it.
  expect(faultOf(() => other.open({ ...sealed, to: other.publicKey }, context)).code).toBe('secret-unsealable');
});

test.each([
  ['instance', { instance: 'cim-b' }],
  ['kind', { kind: 'service' as const }],
  ['name', { name: 'spy' }],
  ['secret', { secret: 'api-key' }],
])('a box moved to another %s does not open, and the fault does not tell the secret', (field, change) => {
  const sealed = sealSecret('hunter2', node.publicKey, context);
  const fault = faultOf(() => node.open(sealed, { ...context, ...change }));
  expect(fault.code).toBe('secret-unsealable');
  expect(fault.detail).toContain(field);
  expect(JSON.stringify([fault.detail, String(fault.cause), fault.stack])).not.toContain('hunter2');
});

test('no bit of a box can be changed', () => {
  const sealed = sealSecret('hunter2', node.publicKey, context);
  const bytes = Buffer.from(sealed.box, 'base64');
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(bytes);
      changed[at]! ^= flip;
      const forged: SealedSecret = { ...sealed, box: changed.toString('base64') };
      expect(faultOf(() => node.open(forged, context)).code).toBe('secret-unsealable');
    }),
    { numRuns: 40 },
  );
});

test('what is no key, no seed or too large is refused without quoting it', () => {
  expect(faultOf(() => sealSecret('x', `A${node.publicKey.slice(1)}`, context)).code).toBe('invalid-input');
  expect(faultOf(() => sealSecret('x', `${node.publicKey.slice(0, -4)}AAAA`, context)).code).toBe('invalid-input');
  expect(faultOf(() => sealSecret('x'.repeat(LARGEST_SECRET + 1), node.publicKey, context)).code).toBe('too-large');
  const fault = faultOf(() => unsealerFromSeed('SXNOTASEEDATALL'));
  expect(fault.code).toBe('invalid-input');
  expect(fault.detail).not.toContain('NOTASEED');
});
