/** apt's own files, read as apt reads them: only Debian's main archive is taken, and its key goes with it. */
import { describe, expect, test } from 'vitest';
import { mainArchives, parseList, parseStanzas, renderStanza } from '../place/sources.mjs';

describe('one line a source', () => {
  test('options, comments and source packages', () => {
    const text = [
      '# deb http://old.invalid/debian buster main',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://a.invalid/debian bookworm main contrib # here',
      'deb-src http://a.invalid/debian bookworm main',
      '  deb http://b.invalid/debian-security bookworm-security main',
    ].join('\n');
    expect(parseList(text)).toEqual([
      {
        uris: ['http://a.invalid/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: '/usr/share/keyrings/k.gpg',
      },
      { uris: ['http://b.invalid/debian-security'], suites: ['bookworm-security'], components: ['main'] },
    ]);
  });
});

describe('stanzas', () => {
  test('several values, a comment inside, a disabled one', () => {
    const text = [
      'Types: deb deb-src',
      '# a comment inside the stanza',
      'URIs: http://a.invalid/debian http://b.invalid/debian',
      'suites: trixie trixie-updates',
      'Components: main',
      'Signed-By: /usr/share/keyrings/k.pgp',
      '',
      'Types: deb',
      'Enabled: no',
      'URIs: http://c.invalid/debian',
      'Suites: sid',
      'Components: main',
      '',
      'Types: deb-src',
      'URIs: http://d.invalid/debian',
      'Suites: sid',
      'Components: main',
    ].join('\n');
    expect(parseStanzas(text)).toEqual([
      {
        uris: ['http://a.invalid/debian', 'http://b.invalid/debian'],
        suites: ['trixie', 'trixie-updates'],
        components: ['main'],
        signedBy: '/usr/share/keyrings/k.pgp',
      },
    ]);
  });

  test('a key written out keeps its lines, and goes out as it came in', () => {
    const key = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----';
    const text = `Types: deb\nURIs: http://a.invalid/debian\nSuites: stable\nComponents: main\nSigned-By:\n ${key}\n`;
    const [source] = parseStanzas(text);
    expect(source?.signedBy).toBe(key);
    const again = renderStanza({
      uris: ['http://a.invalid/debian'],
      suite: 'forky',
      architecture: 'amd64',
      signedBy: `\n ${key}`,
    });
    expect(parseStanzas(again)).toEqual([{ ...source, suites: ['forky'] }]);
  });
});

test("only Debian's main archive counts, without its security and updates sides", () => {
  const source = (uri, suites, components = ['main']) => ({ uris: [uri], suites, components });
  const kept = mainArchives([
    source('cdrom:[Debian]/', ['bookworm']),
    source('http://vendor.invalid/apt', ['cloud-bookworm']),
    source('http://s.invalid/debian-security', ['bookworm-security']),
    source('http://n.invalid/debian', ['bookworm'], ['non-free']),
    source('http://a.invalid/debian', ['bookworm', 'bookworm-updates']),
  ]);
  expect(kept).toEqual([{ uris: ['http://a.invalid/debian'], suites: ['bookworm'], components: ['main'] }]);
});
