/** What is refused and why, what is read whatever it is called, and that nothing else is ever thrown. */
import nodeProcess from 'node:process';
import { InputError } from '@cim/alchemist/agent';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge } from '../src/judgement.ts';
import { parseXml, textAt } from '../src/xml.ts';
import { edit, limits, sample } from './samples.ts';

const ubl = 'urn:oasis:names:specification:ubl:schema:xsd:';
const wrap = (inner: string): string =>
  `<Invoice xmlns="${ubl}Invoice-2" xmlns:cbc="${ubl}CommonBasicComponents-2">${inner}</Invoice>`;

describe('refused', () => {
  it.each<[what: string, xml: string, message: RegExp]>([
    ['an external entity', sample('refused/external-entity'), /<!DOCTYPE> at line 2, column 1: .*refused/],
    ['entities that multiply', sample('refused/entity-expansion'), /<!DOCTYPE> at line 2, column 1: .*refused/],
    ['another kind of document', sample('refused/order'), /root element is <Order>.*Expected Invoice/],
    ['a document cut off', sample('refused/cut-off'), /not well-formed|does not end/],
    ['a root without the namespace', '<Invoice><ID>1</ID></Invoice>', /root element is <Invoice> in the namespace ""/],
    ['an entity nobody declared', wrap('<cbc:ID>&nbsp;</cbc:ID>'), /entity "&nbsp;" is unknown/],
    ['a reference to a character XML forbids', wrap('<cbc:ID>&#0;</cbc:ID>'), /entity "&#0;" is unknown/],
    ['a control character', wrap('<cbc:ID>\u0007</cbc:ID>'), /U\+0007 at line 1/],
    ['a prefix nobody declared', wrap('<x:ID>1</x:ID>'), /prefix "x" of <x:ID> is not declared/],
    ['crossed tags', wrap('<cbc:ID><cbc:Note></cbc:ID></cbc:Note>'), /not well-formed at line 1/],
    ['two roots', `${wrap('')}<b/>`, /not well-formed/],
    ['nothing', '   ', /not well-formed/],
    ['no XML', '{"invoice": 1}', /not well-formed/],
    ['an unterminated comment', `${wrap('')}<!-- `, /comment at line 1, column \d+ does not end/],
    ['a tag of a megabyte', `<Invoice ${'a'.repeat(1_000_000)}`, /tag at line 1, column 1 does not end/],
    ['nesting without end', wrap('<cbc:ID>'.repeat(5000) + '</cbc:ID>'.repeat(5000)), /nested/i],
  ])('%s', (_what, xml, message) => {
    expect(() => judge(xml, limits)).toThrow(InputError);
    expect(() => judge(xml, limits)).toThrow(message);
  });

  it('more than allowed', () => {
    expect(() => judge(sample('credit-note'), { ...limits, maxCharacters: 1000 })).toThrow(
      /^xml: \d+ characters, at most 1000 are read/,
    );
  });
});

describe('read', () => {
  it('any prefix, comments, CDATA, references, a byte order mark, CRLF', () => {
    const plain = judge(sample('invoice-two-rates'), limits).judgement;
    const other = sample('invoice-two-rates')
      .replaceAll('cbc:', 'x:')
      .replaceAll(':cbc', ':x')
      .replaceAll('cac:', 'y-1.z:')
      .replaceAll(':cac', ':y-1.z');
    expect(judge(`\ufeff${other.replaceAll('\n', '\r\n')}`, limits).judgement).toEqual(plain);
    const root = parseXml(wrap('<cbc:ID><!-- <!DOCTYPE x> -->A&amp;B &lt;<![CDATA[<!ENTITY &amp; ]]>&#x20AC;&#8364;</cbc:ID>'));
    expect(textAt(root, 'cbc:ID')).toBe('A&B <<!ENTITY &amp; €€');
  });

  it('decodes once: &amp;lt; stays &lt;', () => {
    expect(textAt(parseXml(wrap('<cbc:ID>&amp;lt;</cbc:ID>')), 'cbc:ID')).toBe('&lt;');
  });

  it('an element of another namespace is not the UBL one', () => {
    const xml = edit(sample('invoice-two-rates'), '<cbc:ID>2025-00417</cbc:ID>', '<o:ID xmlns:o="urn:other">2025-00417</o:ID>');
    expect(judge(xml, limits).judgement.violations).toContainEqual(expect.objectContaining({ rule: 'BR-02' }));
  });

  it('names that mean something to JavaScript are only names', () => {
    const xml = edit(
      sample('invoice-two-rates'),
      '<cbc:BuyerReference>',
      '<cbc:constructor>x</cbc:constructor><cbc:BuyerReference>',
    );
    expect(judge(xml, limits).judgement.verdict).toBe('valid');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});

it('whatever comes in, it is judged or refused as invalid input', () => {
  const good = sample('invoice-allowances-charges');
  const damaged = fc
    .array(
      fc.tuple(
        fc.nat(good.length),
        fc.nat(12),
        fc.oneof(
          fc.string({ maxLength: 6 }),
          fc.constantFrom('<', '>', '&', '"', '</', ']]>', '<!--', '<![CDATA[', '-1e9', 'NaN', ''),
        ),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    )
    .map((cuts) => cuts.reduce((xml, [at, length, insert]) => xml.slice(0, at) + insert + xml.slice(at + length), good));
  fc.assert(
    fc.property(fc.oneof(damaged, fc.string({ unit: 'binary', maxLength: 200 })), (xml) => {
      try {
        expect(judge(xml, limits).judgement.verdict).toMatch(/valid/);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
    { numRuns: 300 },
  );
});

it('a document of three thousand lines is judged in seconds, not minutes', () => {
  const xml = sample('invoice-two-rates');
  const line = /<cac:InvoiceLine>[\s\S]*?<\/cac:InvoiceLine>/.exec(xml)![0];
  const many = edit(xml, '</Invoice>', `${line.repeat(3_000)}</Invoice>`);
  const before = nodeProcess.threadCpuUsage();
  const { judgement } = judge(many, limits);
  expect(judgement.document.lines).toBe(3_004);
  expect(judgement.totals.lines).toBe('1396045.31');
  const { user, system } = nodeProcess.threadCpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(8_000);
});
