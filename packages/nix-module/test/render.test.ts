// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are Nix' placeholders, and the point of the tests.
/** What is rendered, evaluated by nix itself, is what went in. */
import { Fault } from '@cim/contracts';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type NixValue, nixPath, renderModule, renderName, renderNix } from '../src/index.ts';
import { openNix } from './nix.ts';

let nix: Awaited<ReturnType<typeof openNix>>;
beforeAll(async () => {
  nix = await openNix();
}, 120_000);

/** Texts that have broken renderers before. */
const nasty = [
  '',
  '"',
  '\\',
  '${builtins.currentTime}',
  '$${x}',
  "''${x}''",
  '\\${x}',
  '"; evil = true; x = "',
  '\n\r\t',
  "''",
  'ü€😀',
  '\u2028',
  '\x01\x1b\x7f',
  '#',
  '/*',
  '*/',
  'a.b',
  'with',
  'or',
  'rec',
  '__proto__',
  'constructor',
  '1a',
  "a'b-c_d",
  ' ',
];
const text = fc.oneof(
  fc.constantFrom(...nasty),
  fc.string({ unit: 'binary' }).map((s) => s.toWellFormed().replaceAll('\0', '')),
  fc.array(fc.constantFrom('$', '{', '}', '"', '\\', "'", '\n', 'a'), { maxLength: 12 }).map((parts) => parts.join('')),
);
/**
 * Without backslashes: what Nix says is read with JSON.parse, which since V8 12.8 takes a name that begins with an escape for another one that
 * it has seen in that place before, if that one's letters look like the escape (nodejs/node#63785). They have a test of their own below.
 */
const name = text.filter((one) => !one.includes('\\'));
const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  // Nix prints floats with all their digits; what differs in the last bit is another number.
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }).map((n) => (Math.abs(n) < 1e-300 ? 0 : n)),
);
const value: fc.Arbitrary<NixValue> = fc.letrec<{ value: NixValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    number,
    text,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

const close = (a: unknown, b: unknown): boolean => {
  if (typeof a === 'number' && typeof b === 'number')
    return a === b || Math.abs(a - b) <= Math.abs(a) * 1e-5 || Math.abs(a - b) < 1e-300;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => close(item, b[i]));
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    const [x, y] = [Object.entries(a), new Map(Object.entries(b))];
    return x.length === y.size && x.every(([key, item]) => y.has(key) && close(item, y.get(key)));
  }
  return a === b;
};

describe('a value', () => {
  test('evaluates to itself, whatever it is', () => {
    // A hundred values in one evaluation: a process each would take a minute.
    fc.assert(
      fc.property(fc.array(value, { minLength: 100, maxLength: 100 }), (values) => {
        const back = nix.evaluate(renderNix(values)) as unknown[];
        values.forEach((one, index) => {
          if (!close(one, back[index])) expect(back[index]).toEqual(one);
        });
      }),
      { numRuns: 8 },
    );
  });

  test('integers and texts come back to the last digit and letter', () => {
    const integers = [0, -1, 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    expect(nix.evaluate(renderNix([...nasty, ...integers]))).toEqual([...nasty, ...integers]);
    const named = Object.fromEntries(nasty.filter((name) => name !== '__proto__').map((name, index) => [name, index]));
    expect(nix.evaluate(renderNix(named))).toEqual(named);
  });

  test('names with backslashes come back as they were', () => {
    const names = [...nasty.filter((one) => one.includes('\\')), '\\', '\\n', '\\"', '\\\\', 'a\\', '\\u0041'].sort();
    const named = renderNix(Object.fromEntries(names.map((one) => [one, null])));
    // As values: those are read right.
    expect([...(nix.evaluate(`builtins.attrNames ${named}`) as string[])].sort()).toEqual([...new Set(names)]);
  });

  test('the same value is the same text, in whatever order its keys came', () => {
    expect(renderNix({ b: 1, a: [true, null], c: undefined })).toBe(renderNix({ a: [true, null], b: 1 }));
    expect(renderNix({ b: -1, a: [-1.5, { x: 'y' }, []], e: {} })).toBe(
      '{\n  a = [\n    (-1.5)\n    {\n      x = "y";\n    }\n    [ ]\n  ];\n  b = -1;\n  e = { };\n}',
    );
  });

  test.each<[string, unknown, string]>([
    ['NaN', { a: [1, Number.NaN] }, 'value.a[1]'],
    ['infinity', Number.POSITIVE_INFINITY, 'value'],
    ['too large an integer', 2 ** 53, 'value'],
    ['a subnormal', 5e-324, 'value'],
    ['NUL', { a: 'x\0y' }, 'value.a'],
    ['half a character', '\ud800', 'value'],
    ['a function', { a: () => 1 }, 'value.a'],
    ['a bigint', 1n, 'value'],
  ])('%s is refused with its place', (_, bad, where) => {
    expect(() => renderNix(bad as NixValue)).toThrow(Fault);
    expect(() => renderNix(bad as NixValue)).toThrow(where);
  });

  test('names are quoted exactly where they must be', () => {
    expect(['a', "a-b'c", '_x', 'with', 'or', '1a', 'a.b', ''].map(renderName)).toEqual([
      'a',
      "a-b'c",
      '_x',
      '"with"',
      '"or"',
      '"1a"',
      '"a.b"',
      '""',
    ]);
  });

  test('a path is a path, and nothing else passes for one', () => {
    expect(nix.evaluate(`builtins.typeOf ${renderNix(nixPath('./hardware.nix'))}`)).toBe('path');
    for (const bad of ['hardware.nix', './a b', './${x}', './x;y', '', './', '~/x', './a//b', '<nixpkgs>'])
      expect(() => nixPath(bad)).toThrow(Fault);
  });
});

describe('a module', () => {
  test('sets the options it was given, and says where it comes from', () => {
    const module = renderModule({
      header: ['Made from fleet.json.', 'a second line\nwith a break; evil = true;'],
      imports: ['./hardware.nix'],
      options: {
        'cim.instance.id': 'leaf-1',
        'cim.domains.workflow': { enable: true, config: { maxConcurrent: 50 } },
        'environment.etc."nats/nats.conf".text': '${x}',
      },
    });
    expect(module).toBe(`# Made from fleet.json.
# a second line
# with a break; evil = true;
{
  imports = [
    ./hardware.nix
  ];

  cim.domains.workflow = {
    config = {
      maxConcurrent = 50;
    };
    enable = true;
  };
  cim.instance.id = "leaf-1";
  environment.etc."nats/nats.conf".text = "\\\${x}";
}
`);
    expect(nix.evaluate(module.replace('./hardware.nix', ''))).toMatchObject({
      cim: { instance: { id: 'leaf-1' }, domains: { workflow: { config: { maxConcurrent: 50 } } } },
      environment: { etc: { 'nats/nats.conf': { text: '${x}' } } },
    });
  });

  test('with any header and any value parses, and the header sets nothing', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), text, (header, name) => {
        const module = renderModule({ header, options: { 'cim.instance.id': name } });
        expect(nix.evaluate(module)).toEqual({ imports: undefined, cim: { instance: { id: name } } });
      }),
      { numRuns: 15 },
    );
  });

  test('with an option that does not exist is refused, and told what there is', () => {
    expect(() => renderModule({ options: { 'cim.instance.idd': 'x' } })).toThrow(
      /cim\.instance\.idd: no such option; under cim\.instance there are .*\bid\b/,
    );
    expect(() => renderModule({ options: { 'cim.nope.x': 1, 'cim.instance.id': 'x' } })).toThrow(
      /cim\.nope\.x: no such option; under cim there are/,
    );
    // Inside what is free, and what is NixOS' own, is not ours to judge.
    expect(renderModule({ options: { 'cim.domains.workflow.config.mine': 1, 'services.nginx.enable': true } })).toContain(
      'mine = 1',
    );
  });

  test('a path with an open quote or an empty name is refused', () => {
    for (const path of ['a..b', '.a', 'a.', 'a."b', '', '"a"b'])
      expect(() => renderModule({ options: { [path]: 1 } })).toThrow(Fault);
  });
});
