/** JSON Schemas of what goes in and out. Amounts are decimal texts, since a JSON number is a binary fraction. */
import type { JsonSchema } from '@cim/alchemist/agent';

const text = { type: 'string' } as const;
const amount = { type: 'string', pattern: '^-?[0-9]+\\.[0-9]{2}$', description: 'Decimal with two digits' } as const;
const count = { type: 'integer', minimum: 0 } as const;

const object = (properties: Record<string, JsonSchema>, optional: readonly string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

const partyFields = { name: text, vatId: text, legalId: text, partyId: text, endpoint: text, country: text };
const party = object(partyFields, Object.keys(partyFields));

const judgement = {
  verdict: { enum: ['valid', 'invalid'], description: 'invalid when there is at least one error' },
  profile: { enum: ['en16931', 'peppol'], description: 'The rule book applied' },
  document: object(
    {
      kind: { enum: ['invoice', 'credit-note'] },
      id: text,
      issueDate: text,
      currency: text,
      seller: party,
      buyer: party,
      lines: count,
    },
    ['id', 'issueDate', 'currency'],
  ),
  totals: object({
    lines: amount,
    allowances: amount,
    charges: amount,
    taxExclusive: amount,
    vat: list(object({ category: text, rate: text, taxable: amount, tax: amount }, ['rate'])),
    tax: amount,
    taxInclusive: amount,
    prepaid: amount,
    rounding: amount,
    payable: amount,
    complete: { type: 'boolean', description: 'False when a line lacked price or quantity' },
  }),
  comparison: object({
    agrees: { type: 'boolean' },
    rows: list(
      object({ name: text, location: text, stated: text, recomputed: amount, agrees: { type: 'boolean' } }, ['stated']),
    ),
  }),
  errors: count,
  warnings: count,
  violations: list(object({ rule: text, severity: { enum: ['error', 'warning'] }, message: text, location: text })),
} satisfies Record<string, JsonSchema>;

export const input: JsonSchema = object(
  {
    xml: { type: 'string', minLength: 1, description: 'A UBL 2.1 Invoice or CreditNote' },
    source: { type: 'string', maxLength: 200, description: 'Where it came from: comes back in the answer and the event' },
  },
  ['source'],
);

export const validated: JsonSchema = object({ ...judgement, source: text }, ['source']);

export const processed: JsonSchema = object(
  {
    outcome: { enum: ['accepted', 'rejected', 'duplicate'] },
    reason: { enum: ['violations', 'conflict', 'duplicate'], description: 'Why it was not accepted' },
    duplicate: object(
      {
        state: { enum: ['first', 'duplicate', 'conflict', 'unidentified'] },
        key: text,
        digest: text,
        firstSeen: { type: 'string', description: 'RFC 3339' },
        firstCall: text,
      },
      ['key', 'firstSeen', 'firstCall'],
    ),
    ...judgement,
    source: text,
  },
  ['reason', 'source'],
);
