import * as v from 'valibot';
import { using } from '../using.js';

export default using(async () => {
  const Schema = v.object({
    email: v.pipe(v.string(), v.trim(), v.email()),
    age: v.optional(v.pipe(v.number(), v.minValue(18)), 20),
  });
  const bad = v.safeParse(Schema, { email: 'x', age: 3 });
  return { good: v.parse(Schema, { email: ' a@b.org ' }), issues: bad.issues.map((issue) => v.getDotPath(issue)) };
});
