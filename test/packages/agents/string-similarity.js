import { compareTwoStrings, findBestMatch } from 'string-similarity';
import { using } from '../using.js';

export default using(async () => {
  return {
    score: compareTwoStrings('healed', 'sealed'),
    best: findBestMatch('healed', ['edward', 'sealed', 'theatre']).bestMatch.target,
  };
});
