import {
  addBusinessDays,
  differenceInCalendarDays,
  eachWeekOfInterval,
  format,
  formatISO,
  intervalToDuration,
  parse,
} from 'date-fns';
import { de } from 'date-fns/locale';
import { using } from '../using.js';

export default using(async () => {
  const start = parse('24.12.2026 09:30', 'dd.MM.yyyy HH:mm', new Date(0));
  const newYear = new Date(2027, 0, 1);
  return {
    next: format(addBusinessDays(start, 3), 'yyyy-MM-dd'),
    text: format(start, 'EEEE, d. MMMM yyyy', { locale: de }),
    days: differenceInCalendarDays(newYear, start),
    weeks: eachWeekOfInterval({ start, end: newYear }).length,
    iso: formatISO(start, { representation: 'date' }),
    span: intervalToDuration({ start: 0, end: 93_784_000 }),
  };
});
