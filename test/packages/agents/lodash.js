import _ from 'lodash';
import { using } from '../using.js';

export default using(async () => {
  const people = [
    { name: 'Ada', team: 'a', age: 36 },
    { name: 'Bob', team: 'b', age: 41 },
    { name: 'Cem', team: 'a', age: 29 },
  ];
  const teams = _.mapValues(_.groupBy(people, 'team'), (list) => _.orderBy(list, ['age'], ['desc']).map(({ name }) => name));
  const deep = _.cloneDeep({ a: [new Date(0), new Map([[1, { b: 2 }]])] });
  return {
    teams,
    sum: _.sumBy(people, 'age'),
    chunks: _.chunk(_.range(7), 3),
    camel: _.camelCase('foo bar-baz'),
    merged: _.merge({ a: { b: 1 } }, { a: { c: 2 } }),
    time: deep.a[0].getTime(),
    entry: deep.a[1].get(1),
  };
});
