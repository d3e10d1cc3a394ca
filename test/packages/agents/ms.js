import ms from 'ms';
import { using } from '../using.js';

export default using(async () => {
  return { day: ms('2.5 days'), text: ms(60_000 * 90, { long: true }), short: ms(1500) };
});
