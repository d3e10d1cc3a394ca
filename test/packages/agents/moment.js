import moment from 'moment';
import { using } from '../using.js';

export default using(async () => {
  const day = moment.utc('2026-02-28T12:00:00Z');
  return {
    text: day.clone().add(1, 'month').format('dddd, MMMM Do YYYY'),
    diff: moment.utc('2027-01-01').diff(day, 'days'),
    human: moment.duration(90, 'minutes').humanize(),
    iso: day.toISOString(),
  };
});
