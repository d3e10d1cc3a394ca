import { DateTime, Duration, Interval } from 'luxon';
import { using } from '../using.js';

export default using(async () => {
  const utc = DateTime.fromISO('2026-03-29T00:30:00Z', { zone: 'utc' });
  const there = utc.setZone('Europe/Berlin');
  return {
    before: there.toISO(),
    after: there.plus({ hours: 2 }).toISO(),
    offset: there.offset,
    week: utc.weekNumber,
    text: utc.setLocale('fr').toFormat('d LLLL yyyy'),
    duration: Duration.fromISO('PT36H15M').shiftTo('days', 'hours', 'minutes').toObject(),
    days: Interval.after(utc, { days: 3 }).splitBy({ days: 1 }).length,
  };
});
