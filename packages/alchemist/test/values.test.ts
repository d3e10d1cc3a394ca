/** Lengths of time, names, flags: what can be written, what cannot, and that nothing is guessed. */
import { Fault, parseDuration } from '@cim/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duration, instanceId, jsonObject, looksLikePath, nameAndRef, wholeNumber } from '../src/cli/flags.ts';
import { bytes, clean } from '../src/cli/render.ts';
import { CustomService, settingsAsText, WorkflowAgent } from '../src/definitions.ts';
import { Duration } from '../src/duration.ts';

describe('Duration', () => {
  it('is what the guide writes', () => {
    expect(`${Duration.minutes(5)}`).toBe('5m');
    expect(JSON.stringify({ timeout: Duration.hours(1.5) })).toBe('{"timeout":"1h30m"}');
    expect(Duration.days(1).milliseconds).toBe(86_400_000);
    expect(Duration.from('1h30m').milliseconds).toBe(5_400_000);
  });

  it('survives its own text, whatever it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 }), (ms) => {
        const length = Duration.ms(ms);
        expect(Duration.from(`${length}`).milliseconds).toBe(ms);
        expect(parseDuration(length.toJSON())).toBe(ms);
        expect(Duration.from(length)).toBe(length);
      }),
    );
  });

  it('refuses what is no length of time, naming the field', () => {
    const bad = fc.oneof(
      fc.string().filter((text) => parseDuration(text) === undefined),
      fc.double().filter((n) => !Number.isSafeInteger(n) || n < 0),
    );
    fc.assert(
      fc.property(bad, (value) => {
        let fault: unknown;
        try {
          Duration.from(value, 'timeout');
        } catch (error) {
          fault = error;
        }
        expect(fault).toBeInstanceOf(Fault);
        expect((fault as Fault).issues[0]).toMatchObject({ path: 'timeout' });
      }),
    );
    for (const make of [Duration.ms, Duration.seconds, Duration.minutes, Duration.hours, Duration.days]) {
      expect(() => make(-1)).toThrow(RangeError);
      expect(() => make(Number.NaN)).toThrow(RangeError);
      expect(() => make(Number.POSITIVE_INFINITY)).toThrow(RangeError);
    }
  });
});

describe('definitions of the guide', () => {
  it('hold what was written and turn lengths into text', () => {
    const agent = new WorkflowAgent({
      id: 'doc-processor',
      capabilities: ['document.process', 'workflow.execute'],
      configuration: { maxConcurrent: 10, timeout: Duration.minutes(5) },
    });
    expect(agent).toMatchObject({ id: 'doc-processor', kind: 'agent' });
    expect(settingsAsText(agent.options.configuration)).toEqual({ maxConcurrent: 10, timeout: '5m' });
    expect(() => settingsAsText({ turn: 'soon' })).toThrow(/configuration\.turn: expected a length of time/);
  });

  it('refuse what is no definition', () => {
    expect(() => new WorkflowAgent({} as never)).toThrow('WorkflowAgent.id');
    expect(() => new CustomService({ id: 'x', runtime: 'python' as never })).toThrow(
      'CustomService.runtime: expected "nodejs"',
    );
  });
});

describe('flag values', () => {
  it('take whole numbers in bounds and nothing else', () => {
    const read = wholeNumber(0, 64);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String)), (text) => {
        const good = /^\d+$/.test(text) && Number(text) <= 64;
        if (good) expect(read(text)).toBe(Number(text));
        else expect(() => read(text)).toThrow('expected a whole number from 0 to 64');
      }),
    );
  });

  it('take what the product calls a length of time', () => {
    expect(duration('1h30m')).toBe('1h30m');
    for (const text of ['', '5', '5 m', '-5m', '1.5h', 'm', '5m '])
      expect(() => duration(text)).toThrow(/expected a length of time/);
  });

  it('take instance ids as the contract does', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '.', '*', '>', ' ') }), (text) => {
        const good = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
        if (good) expect(instanceId(text)).toBe(text);
        else expect(() => instanceId(text)).toThrow('expected an instance id');
      }),
    );
  });

  it('take objects of JSON only', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(jsonObject(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
    for (const text of ['[]', '1', 'null', '{', '"x"']) expect(() => jsonObject(text)).toThrow(/expected a JSON object/);
  });

  it('tell names of the catalog from places on disk', () => {
    expect(nameAndRef('hello')).toEqual({ name: 'hello', ref: undefined });
    expect(nameAndRef('hello@^1.2')).toEqual({ name: 'hello', ref: '^1.2' });
    for (const path of ['.', './hello', 'a/b', 'hello-1.0.0.cim', 'main.ts']) expect(looksLikePath(path)).toBe(true);
    for (const name of ['hello', 'hello@1.0.0', 'doc-processor@stable']) expect(looksLikePath(name)).toBe(false);
  });
});

it('keeps control characters of others off the terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = clean(text);
      expect(shown).not.toMatch(/[^\P{Cc}\t\n]/u);
      expect(clean(shown)).toBe(shown);
    }),
  );
  expect([bytes(999), bytes(1536), bytes(5 * 2 ** 30)]).toEqual(['999 B', '1.5 KiB', '5.0 GiB']);
});
