/** Sealed secrets as documents carry them. Sealing itself is in sealing.ts. */
import { z } from 'zod';

/** Public curve nkey of a node (prefix `X`): base32, 56 characters. */
export const SealingKey = z
  .string()
  .regex(/^X[A-Z2-7]{55}$/, 'expected a public curve key: 56 characters that start with "X"')
  .brand('SealingKey');
export type SealingKey = z.infer<typeof SealingKey>;

/** One secret only one node can read. */
export const SealedSecret = z.strictObject({
  to: SealingKey.describe('Node it is sealed to.'),
  from: SealingKey.describe("The sender's key, made for this box alone."),
  box: z.base64().max(131_072).describe('NaCl box in the framing of nkeys, base64.'),
});
export type SealedSecret = z.infer<typeof SealedSecret>;
