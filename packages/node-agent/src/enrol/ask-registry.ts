/**
 * The two questions a node asks the registry over HTTP: its first credential and the next one.
 *
 * Promises:
 * A1. Each has a deadline and a bounded answer; a refusal is the registry's own Fault, silence is `hub-unreachable`.
 * A2. Over plain HTTP only to this machine itself: a token on a wire anybody reads is everybody's.
 * A3. What comes back is for the key that asked, of this instance; anything else is refused.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { CredentialGiven, decodeJson, type EnrolRequest, Fault, Problem, type RenewRequest, readUserJwt } from '@cim/contracts';

export interface RegistryDoor {
  /** e.g. `https://hub.example.com:8484`. */
  readonly url: string;
  /** Authority of its certificate, PEM text; absent: those the system knows. */
  readonly ca?: string | undefined;
}

const DEADLINE_MS = 15_000;
const LONGEST_ANSWER = 256 * 1024;

export const askEnrol = (door: RegistryDoor, body: EnrolRequest): Promise<CredentialGiven> =>
  ask(door, '/api/v1/enrol', body, body.instance, body.publicKey);

export const askRenewal = (door: RegistryDoor, body: RenewRequest): Promise<CredentialGiven> =>
  ask(door, '/api/v1/enrol/renewal', body, body.instance, body.newKey ?? body.publicKey);

async function ask(door: RegistryDoor, path: string, body: unknown, instance: string, key: string): Promise<CredentialGiven> {
  const text = await post(door, path, JSON.stringify(body));
  const given = decodeJson(CredentialGiven, text, `answer of ${path}`, 'internal');
  const { subject, name, account } = readUserJwt(given.jwt);
  if (subject !== key || name !== instance || account !== given.account)
    throw new Fault(
      'signature-invalid',
      `the registry gave a credential of ${name} for ${subject}; asked was one of ${instance} for ${key}`,
    );
  return given;
}

/** @throws Fault (A1, A2) */
function post({ url, ca }: RegistryDoor, path: string, body: string): Promise<string> {
  const at = new URL(path, url);
  const local = at.hostname === '127.0.0.1' || at.hostname === '[::1]' || at.hostname === 'localhost';
  if (at.protocol !== 'https:' && !(at.protocol === 'http:' && local)) {
    const message = `expected https:// (or http:// on this machine itself), found ${url}`;
    throw new Fault('configuration-invalid', `registry: ${message}`, { issues: [{ path: 'registry', message }] });
  }
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const away = (error: Error) =>
    reject(new Fault('hub-unreachable', `the registry at ${url}: ${error.message}`, { cause: error }));
  const send = at.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = send(
    at,
    {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...(ca === undefined ? {} : { ca }),
    },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('error', away);
      response.on('data', (part: string) => {
        text += part;
        if (text.length > LONGEST_ANSWER) response.destroy(new Error('its answer is longer than any should be'));
      });
      response.on('end', () => {
        if (response.statusCode === 200) return resolve(text);
        reject(refusal(response.statusCode ?? 0, text, url));
      });
    },
  );
  request.on('error', away);
  request.end(body);
  return promise;
}

function refusal(status: number, text: string, url: string): Fault {
  try {
    return Fault.fromProblem(Problem.parse(JSON.parse(text)));
  } catch {
    return new Fault('hub-unreachable', `${url} answered ${status} without a problem document: is it a registry?`);
  }
}
