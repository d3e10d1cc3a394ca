/**
 * What is refused before anybody asks who sent it: requests that two servers in a row could read differently, and floods of headers.
 * Node's parser refuses what breaks the framing itself (two lengths, length and chunks, bare line feeds); this is what it lets through.
 */
import type { IncomingMessage } from 'node:http';
import { Fault } from '@cim/contracts';

/** More than any client of ours sends, by far. */
const MOST_HEADERS = 64;
const LONGEST_URL = 8_192;
/** Headers that say one thing: sent twice, each side may believe another one. */
const ONCE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'if-match',
  'if-none-match',
  'last-event-id',
  'cim-envelope',
  'cim-reason',
]);

/** What is wrong with the head of a request, or undefined. */
export function screen({
  rawHeaders,
  headers,
  url = '',
}: Pick<IncomingMessage, 'rawHeaders' | 'headers' | 'url'>): Fault | undefined {
  const refuse = (path: string, message: string) =>
    new Fault('invalid-input', `${path}: ${message}`, { issues: [{ path, message }] });
  if (rawHeaders.length / 2 > MOST_HEADERS)
    return new Fault('too-large', `expected at most ${MOST_HEADERS} headers, found ${rawHeaders.length / 2}`);
  if (url.length > LONGEST_URL)
    return new Fault('too-large', `the address: expected at most ${LONGEST_URL} characters, found ${url.length}`);
  if (!url.startsWith('/')) return refuse('(address)', 'expected a path that begins with "/"');
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (ONCE.has(name) && seen.has(name)) return refuse(`header.${name}`, 'expected it once, found it again');
    seen.add(name);
  }
  // No body comes in pieces of several codings here, and none is compressed: what is unpacked has no bound.
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return refuse('header.transfer-encoding', 'expected "chunked" or none');
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
    return refuse('header.content-encoding', 'expected none: bodies are taken as they are');
  return undefined;
}
