/** The daemon's side of `fetch`, against real servers on loopback. Names lead where the test's own resolver says. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Fault, HttpGrant, systemClock } from '@cim/contracts';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { createEgress, type Egress, type EgressOptions } from '../../src/host/egress.ts';
import { reachOf } from '../../src/host/egress-address.ts';
import { CERTIFICATE, KEY } from './certificate.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const listening = async (server: Server | TcpServer): Promise<number> => {
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  open.push(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};
const web = (answer: Answer) => listening(createServer(answer));

const grantOf = (grant: Partial<HttpGrant>): HttpGrant =>
  HttpGrant.parse({ host: 'a.test', scheme: 'http', private: true, ...grant });
function egressOf(grants: Partial<HttpGrant>[], options: Partial<EgressOptions> = {}): Egress {
  const lookup = async () => ['127.0.0.1'];
  const egress = createEgress({ grants: grants.map(grantOf), clock: systemClock, lookup, ...options });
  open.push(() => egress.close());
  return egress;
}
const asked = (url: string, more: object = {}) => ({ url, method: 'GET', headers: [], redirect: 'follow', ...more });
const textOf = ({ body }: { readonly body: string }) => Buffer.from(body, 'base64').toString();
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no fault';
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

describe('what is granted', () => {
  test('a request arrives as the guest made it, with the headers that are the daemon’s', async () => {
    const port = await web((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => {
        response.setHeader('set-cookie', ['a=1', 'b=2']);
        response.end(
          JSON.stringify({
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: Buffer.concat(pieces).toString(),
          }),
        );
      });
    });
    const egress = egressOf([{ port, methods: ['POST'] }]);
    const answer = await egress.send(
      asked(`http://a.test:${port}/x?y=1`, {
        method: 'POST',
        headers: [
          ['x-mine', 'é'],
          ['content-length', '999'],
        ],
        body: Buffer.from('hello').toString('base64'),
      }),
    );
    const seen = JSON.parse(textOf(answer));
    expect(seen).toMatchObject({
      method: 'POST',
      url: '/x?y=1',
      body: 'hello',
      headers: { 'x-mine': 'é', 'content-length': '5', host: `a.test:${port}`, 'user-agent': 'CIM' },
    });
    expect(answer.headers.filter(([name]) => name === 'set-cookie')).toHaveLength(2);
    expect(answer).toMatchObject({ status: 200, redirected: false, url: `http://a.test:${port}/x?y=1` });
  });

  test.each([
    ['another host', 'http://b.test:PORT/', 'GET'],
    ['another port', 'http://a.test/', 'GET'],
    ['another scheme', 'https://a.test:PORT/', 'GET'],
    ['another method', 'http://a.test:PORT/in/x', 'DELETE'],
    ['another path', 'http://a.test:PORT/out', 'GET'],
    ['a path that climbs', 'http://a.test:PORT/in/%2e%2e/out', 'GET'],
    ['a scheme that is no web', 'file:///etc/passwd', 'GET'],
    ['a name with a dot at the end', 'http://a.test.:PORT/in/x', 'GET'],
  ])('%s is refused and nothing is sent', async (_, url, method) => {
    let seen = 0;
    const port = await web((__, response) => {
      seen += 1;
      response.end();
    });
    const egress = egressOf([{ port, paths: ['/in/'] }]);
    expect(await codeOf(egress.send(asked(url.replace('PORT', String(port)), { method })))).toBe('grant-refused');
    expect(await codeOf(egressOf([]).send(asked(`http://a.test:${port}/`)))).toBe('grant-refused');
    expect(seen).toBe(0);
    expect((await egress.send(asked(`http://a.test:${port}/in/x`))).status).toBe(200);
  });

  test.each([
    ['host', 'grant-refused'],
    ['Transfer-Encoding', 'grant-refused'],
    ['Proxy-Authorization', 'grant-refused'],
    ['connection', 'grant-refused'],
    ['bad name', 'invalid-input'],
  ])('header %s is not a guest’s to set', async (name, code) => {
    expect(await codeOf(egressOf([{}]).send(asked('http://a.test/', { headers: [[name, 'x']] })))).toBe(code);
  });

  test.each(['a\r\nhost: evil', 'a\nb', 'a\0b', 'a\u0100b'])('a value that would end its line: %j', async (value) => {
    expect(await codeOf(egressOf([{}]).send(asked('http://a.test/', { headers: [['x-mine', value]] })))).toBe('invalid-input');
  });

  test.each([
    {},
    null,
    { url: 1 },
    { ...asked('http://a.test/'), method: 'GET /evil HTTP/1.1\r\n' },
    { ...asked('http://a.test/'), body: '***' },
  ])('a request that is not one: %j', async (given) => expect(await codeOf(egressOf([{}]).send(given))).toBe('invalid-input'));
});

describe('addresses', () => {
  test.each([
    ['8.8.8.8', 'public'],
    ['2606:4700:4700::1111', 'public'],
    ['127.0.0.1', 'private'],
    ['10.1.2.3', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'public'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'],
    ['::1', 'private'],
    ['fd12::1', 'private'],
    ['169.254.169.254', 'never'],
    ['100.100.100.200', 'never'],
    ['fd00:ec2::254', 'never'],
    ['fe80::1', 'never'],
    ['fe80::1%eth0', 'never'],
    ['0.0.0.0', 'never'],
    ['::', 'never'],
    ['224.0.0.1', 'never'],
    ['ff02::1', 'never'],
    ['255.255.255.255', 'never'],
    ['::ffff:8.8.8.8', 'never'],
    ['::ffff:127.0.0.1', 'never'],
    ['64:ff9b::7f00:1', 'never'],
    ['2002:7f00:1::', 'never'],
    ['2001::1', 'never'],
    ['not an address', 'never'],
  ])('%s is %s', (address, reach) => expect(reachOf(address)).toBe(reach));

  test('an address written inside another is never public', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(
        byte,
        byte,
        byte,
        byte,
        fc.constantFrom('::ffff:', '::', '64:ff9b::', '::ffff:0:', '64:ff9b:1::'),
        (a, b, c, d, prefix) => {
          expect(reachOf(`${prefix}${a}.${b}.${c}.${d}`)).not.toBe('public');
        },
      ),
    );
  });

  test('every address of a private or reserved range is not public, whatever its other bits', () => {
    const ranges: readonly (readonly [number, number])[] = [
      [0x0a000000, 8],
      [0x7f000000, 8],
      [0xac100000, 12],
      [0xc0a80000, 16],
      [0x64400000, 10],
      [0xa9fe0000, 16],
      [0, 8],
      [0xe0000000, 4],
      [0xf0000000, 4],
      [0xc6120000, 15],
    ];
    fc.assert(
      fc.property(fc.constantFrom(...ranges), fc.integer({ min: 0, max: 2 ** 32 - 1 }), ([net, bits], any) => {
        const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
        const address = ((net & mask) | (any & ~mask)) >>> 0;
        const text = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
        expect(reachOf(text)).not.toBe('public');
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
        const first = groups[0]!;
        const text = groups.map((group) => group.toString(16)).join(':');
        if (first >> 13 !== 1) expect(reachOf(text)).not.toBe('public');
      }),
    );
  });

  test('a private address without the grant for it; a mixed answer; none', async () => {
    const port = await web((_, response) => response.end('reached'));
    const url = `http://a.test:${port}/`;
    expect(await codeOf(egressOf([{ port, private: false }]).send(asked(url)))).toBe('egress-refused');
    expect(await codeOf(egressOf([{ port }], { lookup: async () => ['127.0.0.1', '169.254.169.254'] }).send(asked(url)))).toBe(
      'egress-refused',
    );
    expect(await codeOf(egressOf([{ port }], { lookup: async () => [] }).send(asked(url)))).toBe('egress-failed');
    expect(await codeOf(egressOf([{ port, host: '127.0.0.1', private: false }]).send(asked(`http://127.0.0.1:${port}/`)))).toBe(
      'egress-refused',
    );
    // The same address written otherwise is the same host.
    expect(await codeOf(egressOf([{ port, host: '127.0.0.1', private: false }]).send(asked(`http://0x7f.1:${port}/`)))).toBe(
      'egress-refused',
    );
    expect(textOf(await egressOf([{ port, host: '127.0.0.1' }]).send(asked(`http://2130706433:${port}/`)))).toBe('reached');
  });

  test('a name that answers otherwise the second time: it is asked once, and the connection goes where the check looked', async () => {
    const port = await web((_, response) => response.end('reached'));
    let asks = 0;
    const lookup = async () => {
      asks += 1;
      return asks === 1 ? ['127.0.0.1'] : ['169.254.169.254'];
    };
    const egress = egressOf([{ port }], { lookup });
    expect(textOf(await egress.send(asked(`http://a.test:${port}/`)))).toBe('reached');
    expect(asks).toBe(1);
    expect(await codeOf(egress.send(asked(`http://a.test:${port}/`)))).toBe('egress-refused');
  });
});

describe('redirects', () => {
  test('are followed within the grants; credentials stay with their origin; a POST becomes a GET', async () => {
    const seen: { url: string; method: string; headers: IncomingMessage['headers'] }[] = [];
    const port = await web((request, response) => {
      seen.push({ url: request.url!, method: request.method!, headers: request.headers });
      if (request.url === '/one') response.writeHead(302, { location: `http://b.test:${port}/two` }).end();
      else response.end('there');
    });
    const egress = egressOf([
      { port, methods: ['POST', 'GET'] },
      { port, host: 'b.test' },
    ]);
    const headers = [
      ['authorization', 'secret'],
      ['content-type', 'text/plain'],
      ['x-kept', 'yes'],
    ];
    const answer = await egress.send(asked(`http://a.test:${port}/one`, { method: 'POST', headers, body: 'aGk=' }));
    expect(answer).toMatchObject({ redirected: true, url: `http://b.test:${port}/two` });
    expect(seen[0]!.headers.authorization).toBe('secret');
    expect(seen[1]).toMatchObject({ method: 'GET', headers: { 'x-kept': 'yes' } });
    expect(seen[1]!.headers.authorization).toBeUndefined();
    expect(seen[1]!.headers['content-type']).toBeUndefined();
  });

  test('a hop out of the grants, to a private address, in a circle, or unwanted', async () => {
    let to = '';
    let inner = 0;
    const port = await web((request, response) => {
      if (request.headers.host?.startsWith('inner')) inner += 1;
      response.writeHead(307, { location: to }).end();
    });
    const lookup = async (name: string) => [name === 'a.test' ? '127.0.0.1' : '10.0.0.1'];
    const egress = egressOf([{ port }, { port, host: 'inner.test', private: false }], { lookup });
    const url = `http://a.test:${port}/`;
    for (const [next, code] of [
      [`http://inner.test:${port}/`, 'egress-refused'],
      ['http://169.254.169.254/latest/meta-data/', 'grant-refused'],
      ['file:///etc/passwd', 'grant-refused'],
      ['/again', 'egress-failed'],
      ['http://user:word@a.test/', 'invalid-input'],
    ] as const) {
      to = next;
      expect([next, await codeOf(egress.send(asked(url)))]).toEqual([next, code]);
    }
    expect(inner).toBe(0);
    expect(await codeOf(egress.send(asked(url, { redirect: 'error' })))).toBe('egress-failed');
    expect((await egress.send(asked(url, { redirect: 'manual' }))).status).toBe(307);
  });
});

describe('bounds', () => {
  test('an answer too large: said so, sent so, or unpacked so', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20));
    const port = await web((request, response) => {
      if (request.url === '/said') response.writeHead(200, { 'content-length': 10 ** 9 }).write('x');
      else if (request.url === '/sent') {
        const more = () => response.write('x'.repeat(65_536)) && setImmediate(more);
        response.on('drain', more);
        more();
      } else if (request.url === '/bomb') response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('small'));
    });
    const egress = egressOf([{ port, maxBytes: '100Ki' }]);
    const before = process.memoryUsage.rss();
    for (const path of ['said', 'sent', 'bomb'])
      expect(await codeOf(egress.send(asked(`http://a.test:${port}/${path}`)))).toBe('too-large');
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 2 ** 20);
    const answer = await egress.send(asked(`http://a.test:${port}/small`));
    expect(textOf(answer)).toBe('small');
    expect(answer.headers.some(([name]) => name === 'content-encoding')).toBe(false);
  });

  test('what is not what it says: a broken gzip, a torn answer, no HTTP, nobody there', async () => {
    const port = await web((request, response) => {
      if (request.url === '/gzip') response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip');
      else {
        response.writeHead(200, { 'content-length': 100 }).write('x');
        response.socket!.destroySoon();
      }
    });
    const raw = await listening(createTcpServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n\r\n')));
    const smuggling = await listening(
      createTcpServer((socket) =>
        socket
          .on('error', () => {})
          .end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
      ),
    );
    const egress = egressOf([{ port }, { port: raw }, { port: smuggling }, { port: 1 }]);
    for (const url of [`${port}/gzip`, `${port}/torn`, `${raw}/`, `${smuggling}/`, '1/'])
      expect([url, await codeOf(egress.send(asked(`http://a.test:${url}`)))]).toEqual([url, 'egress-failed']);
  });

  test('one deadline for all: a server that is silent, drips, or sends headers only', async () => {
    const port = await web((request, response) => {
      if (request.url === '/drip') {
        response.writeHead(200);
        const timer = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(timer));
      } else if (request.url === '/head') response.writeHead(200).flushHeaders();
    });
    const egress = egressOf([{ port, timeout: '250ms' }]);
    const slow = egressOf([{ port, timeout: '250ms' }], { lookup: () => new Promise(() => {}) });
    const codes = ['silent', 'drip', 'head'].map((path) => codeOf(egress.send(asked(`http://a.test:${port}/${path}`))));
    expect(await Promise.all([...codes, codeOf(slow.send(asked(`http://a.test:${port}/`)))])).toEqual(
      Array(4).fill('deadline-exceeded'),
    );
  });

  test('so many at a time, so many a second', async () => {
    const waiting: ServerResponse[] = [];
    const port = await web((_, response) => void waiting.push(response));
    const egress = egressOf([{ port }], { concurrent: 2, perSecond: 2 });
    const url = `http://a.test:${port}/`;
    const first = [egress.send(asked(url)), egress.send(asked(url))];
    expect(await codeOf(egress.send(asked(url)))).toBe('overloaded');
    expect(await codeOf(egress.send(asked(url)))).toBe('overloaded');
    expect(await codeOf(egress.send(asked(url)))).toBe('rate-limited');
    while (waiting.length < 2) await systemClock.sleep(5);
    for (const response of waiting) response.end('done');
    expect((await Promise.all(first)).map(textOf)).toEqual(['done', 'done']);
  });
});

test('TLS: the certificate must be for the name, and trusted', async () => {
  const port = await listening(createTlsServer({ cert: CERTIFICATE, key: KEY }, (_, response) => response.end('sealed')));
  const grants = [
    { host: 'pinned.test', port, scheme: 'https' as const },
    { host: 'other.test', port, scheme: 'https' as const },
  ];
  const egress = egressOf(grants, { ca: CERTIFICATE });
  expect(textOf(await egress.send(asked(`https://pinned.test:${port}/`)))).toBe('sealed');
  expect(await codeOf(egress.send(asked(`https://other.test:${port}/`)))).toBe('egress-failed');
  expect(await codeOf(egressOf(grants).send(asked(`https://pinned.test:${port}/`)))).toBe('egress-failed');
});
