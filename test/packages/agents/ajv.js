import Ajv from 'ajv';
import { using } from '../using.js';

export default using(async () => {
  const valid = new Ajv().compile({ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] });
  return [valid({ n: 1 }), valid({})];
});
