import { CronExpressionParser } from 'cron-parser';
import { using } from '../using.js';

export default using(async () => {
  const every = CronExpressionParser.parse('30 4 1,15 * 5', { currentDate: '2026-01-01T00:00:00Z', tz: 'UTC' });
  return [every.next().toISOString(), every.next().toISOString()];
});
