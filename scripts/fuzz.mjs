/**
 * `npm run test:fuzz -- --minutes 10 [--seed 42]`: the fuzzer of the registry for longer than it has in `npm test`. A seed repeats a run.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } });
const seconds = Number(values.minutes) * 60;
if (!(seconds > 0) || (values.seed !== undefined && !/^\d+$/.test(values.seed))) {
  process.stderr.write('expected --minutes <number> and --seed <whole number>\n');
  process.exit(2);
}

await after({}, ({ node, env }) =>
  become(node, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', 'test/fuzz'], {
    cwd: ROOT,
    env: { ...env, CIM_FUZZ_SECONDS: `${seconds}`, ...(values.seed === undefined ? {} : { CIM_FUZZ_SEED: values.seed }) },
  }),
);
