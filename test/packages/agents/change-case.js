import { camelCase, constantCase, kebabCase, sentenceCase } from 'change-case';
import { using } from '../using.js';

export default using(async () => {
  return [camelCase('foo bar_baz'), constantCase('fooBar'), kebabCase('XMLHttpRequest2'), sentenceCase('theEnd')];
});
