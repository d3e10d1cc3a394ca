import { stemmer } from 'stemmer';
import { using } from '../using.js';

export default using(async () => {
  return ['considerations', 'detestable', 'vileness', 'running'].map(stemmer);
});
