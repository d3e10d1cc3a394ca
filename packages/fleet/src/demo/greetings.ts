/** hello: asked through the hub, once on each instance and once on whichever answers. */
import type { Alchemist } from '@cim/alchemist';
import { type Report, StepFailure } from './report.ts';

export async function showGreetings(report: Report, alchemist: Alchemist, instances: readonly string[]): Promise<number[]> {
  const times: number[] = [];
  for (const [instance, language, expected] of [
    [instances[0], 'en', 'Hello, Ada!'],
    [instances[1], 'de', 'Hallo, Ada!'],
    [undefined, 'fr', 'Bonjour Ada!'],
  ] as const) {
    let servedBy = '';
    let ms = 0;
    const answer = await alchemist.call<{ text: string; from: string }>(
      'greeting.say',
      { name: 'Ada', language },
      {
        ...(instance === undefined ? {} : { instance }),
        onReply: (reply) => {
          servedBy = reply.servedBy ?? '';
          ms = reply.elapsedMs;
        },
      },
    );
    const from = servedBy.split('/')[0] ?? '';
    if (answer.text !== expected) throw new StepFailure('greeting.say', JSON.stringify(expected), JSON.stringify(answer.text));
    if (!(instance === undefined ? instances : [instance]).includes(from) || answer.from !== `hello@${from}`) {
      throw new StepFailure(
        'greeting.say',
        `an answer of ${instance ?? instances.join(' or ')}`,
        `${servedBy}, ${answer.from}`,
      );
    }
    times.push(ms);
    report.line(
      `${answer.text.padEnd(18)} ${report.paint.dim(servedBy)}${instance === undefined ? report.paint.dim('  (any instance)') : ''}`,
      ms,
    );
    report.fact('greeting', { text: answer.text, servedBy, ms });
  }
  return times;
}
