import { buildSchema, graphql, parse, print } from 'graphql';
import { using } from '../using.js';

export default using(async () => {
  const schema = buildSchema('type Query { add(a: Int!, b: Int!): Int, people: [Person!]! } type Person { name: String! }');
  const rootValue = { add: ({ a, b }) => a + b, people: [{ name: 'Ada' }] };
  const { data } = await graphql({ schema, source: '{ add(a: 2, b: 3) people { name } }', rootValue });
  const bad = await graphql({ schema, source: '{ nope }' });
  return { data, errors: bad.errors.length, printed: print(parse('{a{b}}')) };
});
