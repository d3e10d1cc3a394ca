import Mustache from 'mustache';
import { using } from '../using.js';

export default using(async () => {
  return Mustache.render('{{#people}}{{name}}{{^last}}, {{/last}}{{/people}} {{{raw}}} {{esc}}', {
    people: [{ name: 'Ada' }, { name: 'Bob', last: true }],
    raw: '<b>',
    esc: '<i>',
  });
});
