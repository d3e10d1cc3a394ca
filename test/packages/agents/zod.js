import { z } from 'zod';
import { using } from '../using.js';

export default using(async () => {
  const Order = z.strictObject({
    id: z.uuid(),
    email: z.email().transform((text) => text.toLowerCase()),
    lines: z.array(z.object({ sku: z.string().regex(/^[A-Z]{2}\d+$/), count: z.number().int().positive() })).min(1),
    paid: z.coerce.boolean().default(false),
  });
  const id = 'b3b6c2f0-3c1d-4a5e-9f68-0d7d1c0f2a11';
  const good = Order.parse({ id, email: 'Ada@Example.org', lines: [{ sku: 'AB1', count: 2 }] });
  const bad = Order.safeParse({ id: 'x', email: 'nobody', lines: [], more: 1 });
  return {
    good,
    bad: bad.error.issues.map(({ path, code }) => [path.join('.'), code]),
    schema: z.toJSONSchema(z.object({ a: z.string() })),
  };
});
