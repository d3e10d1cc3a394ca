import { JSONPath } from 'jsonpath-plus';
import { using } from '../using.js';

export default using(async () => {
  const json = {
    store: {
      book: [
        { title: 'A', price: 8 },
        { title: 'B', price: 22 },
      ],
    },
  };
  return {
    titles: JSONPath({ path: '$..book[*].title', json }),
    cheap: JSONPath({ path: '$..book[?(@.price<10)].title', json, eval: 'safe' }),
    paths: JSONPath({ path: '$..price', json, resultType: 'path' }),
  };
});
