import {
  bufferCount,
  concatMap,
  delay,
  from,
  lastValueFrom,
  map,
  of,
  reduce,
  retry,
  Subject,
  scan,
  takeUntil,
  throwError,
  timer,
  toArray,
} from 'rxjs';
import { using } from '../using.js';

export default using(async () => {
  const totals = await lastValueFrom(
    from([1, 2, 3, 4, 5]).pipe(
      scan((sum, n) => sum + n, 0),
      bufferCount(2),
      toArray(),
    ),
  );
  const slow = await lastValueFrom(
    from(['a', 'b']).pipe(
      concatMap((x) => of(x).pipe(delay(5))),
      reduce((all, x) => all + x, ''),
    ),
  );
  let tries = 0;
  const failing = throwError(() => {
    tries += 1;
    return new Error('no');
  });
  const failed = await lastValueFrom(failing.pipe(retry(2))).catch((error) => error.message);
  const stop = new Subject();
  setTimeout(() => stop.next(), 50);
  const ticks = await lastValueFrom(
    timer(0, 10).pipe(
      takeUntil(stop),
      map(() => 1),
      reduce((n, x) => n + x, 0),
    ),
  );
  return { totals, slow, tries, failed, ticked: ticks > 0 };
});
