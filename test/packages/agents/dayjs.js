import dayjs from 'dayjs';
import duration from 'dayjs/plugin/duration.js';
import relativeTime from 'dayjs/plugin/relativeTime.js';
import utc from 'dayjs/plugin/utc.js';
import { using } from '../using.js';

export default using(async () => {
  for (const plugin of [utc, duration, relativeTime]) dayjs.extend(plugin);
  const day = dayjs.utc('2026-02-28T23:59:00Z');
  return {
    next: day.add(1, 'day').format('YYYY-MM-DD HH:mm'),
    from: day.from(day.add(3, 'month')),
    length: dayjs.duration({ hours: 27 }).asDays(),
    end: day.endOf('year').toISOString(),
    valid: dayjs('nope').isValid(),
  };
});
