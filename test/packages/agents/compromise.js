import nlp from 'compromise';
import { using } from '../using.js';

export default using(async () => {
  const doc = nlp('Ada Lovelace wrote two programs in London last year.');
  return {
    people: doc.people().out('array'),
    future: doc.clone().verbs().toFutureTense().out('array'),
    numbers: doc.numbers().out('array'),
    places: doc.places().out('array'),
  };
});
