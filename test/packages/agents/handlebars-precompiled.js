import runtime from 'handlebars/dist/cjs/handlebars.runtime.js';
import spec from '../templates/invoice.js';
import { using } from '../using.js';

export default using(async () => {
  const Handlebars = runtime.default ?? runtime;
  Handlebars.registerHelper('money', (amount) => `${amount.toFixed(2)} EUR`);
  return Handlebars.template(spec)({
    customer: '<Ada>',
    lines: [
      { text: 'Bolt', price: 2 },
      { text: 'Nut', price: 0.5 },
    ],
  });
});
