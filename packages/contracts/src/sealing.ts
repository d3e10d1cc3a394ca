/**
 * Secrets sealed to one node: what the hub stores, it cannot read.
 *
 * Promises:
 * W1. Only the holder of the node's curve seed opens a box, and only for the workload and the name it was sealed for: the context is
 *     inside the box, so a hub that moves a box to another workload, name or instance gets `secret-unsealable`, not a secret.
 * W2. Each box is sealed with a sender key of its own that is thrown away; nobody can open it again, the sender included.
 * W3. No fault of this file carries a secret.
 * Source: NATS xkeys, NaCl `crypto_box` (X25519, XSalsa20, Poly1305) in the `xkv1` framing of nkeys.
 */
import { createCurve, fromCurveSeed, type KeyPair } from '@nats-io/nkeys';
import { z } from 'zod';
import { decode, Fault } from './errors.ts';
import { InstanceId, SecretName, WorkloadKind, WorkloadName } from './ids.ts';
import { type SealedSecret, SealingKey } from './schema/sealed.ts';
import { canonicalBytes } from './signing.ts';

/** Longest secret in UTF-8 bytes. */
export const LARGEST_SECRET = 64 * 1024;

/** For whom and under which name a secret is sealed. */
export interface SealContext {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly secret: string;
}

const Sealed = z.strictObject({
  api: z.literal(1),
  instance: InstanceId,
  kind: WorkloadKind,
  name: WorkloadName,
  secret: SecretName,
  value: z.string(),
});

/** @throws Fault `invalid-input` for a key that is none, `too-large` for a secret over {@link LARGEST_SECRET} */
export function sealSecret(value: string, to: string, context: SealContext): SealedSecret {
  const recipient = decode(SealingKey, to, 'sealing key');
  const size = Buffer.byteLength(value, 'utf8');
  if (size > LARGEST_SECRET)
    throw new Fault('too-large', `secret "${context.secret}": expected at most ${LARGEST_SECRET} bytes, found ${size}`);
  const plain = canonicalBytes(decode(Sealed, { api: 1, ...context, value }, 'secret'));
  const sender = createCurve();
  try {
    const box = sender.seal(plain, recipient);
    return { to: recipient, from: SealingKey.parse(sender.getPublicKey()), box: Buffer.from(box).toString('base64') };
  } catch (cause) {
    throw new Fault('invalid-input', `sealing key: ${to.slice(0, 8)}… is no curve key of a node`, { cause });
  } finally {
    sender.clear();
  }
}

/** The node's half: a key that opens. The seed stays inside. */
export interface Unsealer {
  /** What to seal to; printed by `cim-node-agent --identity` and shown in the node's status. */
  readonly publicKey: SealingKey;
  /** @throws Fault `secret-unsealable` when it is not for this node, this workload, this name, or was changed */
  open(sealed: SealedSecret, context: SealContext): string;
}

/** Text of a fresh curve seed (`SX…`). */
export function newSealingSeed(): string {
  return new TextDecoder().decode(createCurve().getSeed());
}

/** @throws Fault `invalid-input` when the text is no curve seed */
export function unsealerFromSeed(seed: string): Unsealer {
  let pair: KeyPair;
  try {
    pair = fromCurveSeed(new TextEncoder().encode(seed.trim()));
  } catch {
    // The cause is left out on purpose: nkeys may quote what it could not read.
    throw new Fault('invalid-input', 'sealing seed: expected a curve seed that starts with "SX"');
  }
  const publicKey = SealingKey.parse(pair.getPublicKey());
  return {
    publicKey,
    open(sealed, context) {
      const what = `secret "${context.secret}" of ${context.kind} ${context.name}`;
      if (sealed.to !== publicKey)
        throw new Fault(
          'secret-unsealable',
          `${what}: sealed to ${sealed.to.slice(0, 8)}…, this node is ${publicKey.slice(0, 8)}…`,
        );
      let plain: Uint8Array | null;
      try {
        plain = pair.open(Buffer.from(sealed.box, 'base64'), sealed.from);
      } catch {
        plain = null;
      }
      if (plain === null) throw new Fault('secret-unsealable', `${what}: the box does not open; seal it again`);
      const inside = Sealed.safeParse(parsed(plain));
      if (!inside.success) throw new Fault('secret-unsealable', `${what}: the box holds no secret of this format`);
      const { value, api: _, ...sealedFor } = inside.data;
      for (const field of ['instance', 'kind', 'name', 'secret'] as const) {
        if (sealedFor[field] !== context[field])
          throw new Fault('secret-unsealable', `${what}: was sealed for another ${field}, "${sealedFor[field]}"`);
      }
      return value;
    },
  };
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
