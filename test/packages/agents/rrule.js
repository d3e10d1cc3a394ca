import * as rrule from 'rrule';
import { using } from '../using.js';

export default using(async () => {
  const { RRule } = rrule.default ?? rrule;
  const rule = new RRule({
    freq: RRule.MONTHLY,
    byweekday: [RRule.FR.nth(-1)],
    dtstart: new Date(Date.UTC(2026, 0, 1)),
    count: 3,
  });
  return { all: rule.all().map((day) => day.toISOString()), text: rule.toText(), rule: rule.toString() };
});
