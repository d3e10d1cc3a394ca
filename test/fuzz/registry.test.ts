/**
 * The registry against requests made from its own description: every route, every role, for a while. `CIM_FUZZ_SECONDS` says how long
 * (`npm run test:fuzz -- --minutes 10`), `CIM_FUZZ_SEED` repeats a run.
 *
 * What holds of every answer: it comes in time, it is no 5xx, it is what the description says it is. What holds afterwards: every stored
 * value has its audit entry, written by somebody with a role that may; and the registry has met nothing it did not expect.
 */
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { newSeed } from '@cim/alchemist';
import { AUDIT_HEADER, AuditEntry, type AuditIntent, auditVerifier, decodeJson, digestOf, rowsAt } from '@cim/contracts';
import { testOperator, testPublisher } from '@cim/testkit';
import { jetstreamManager } from '@nats-io/jetstream';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RegistryProcess, tokenOf, type World, world } from '../../packages/registry/test/support.ts';
import { type ApiDocument, type FuzzRequest, meantFor, type Operation, operationsOf, requestsTo } from './requests.ts';
import { seeds } from './seeds.ts';

const SECONDS = Number(process.env['CIM_FUZZ_SECONDS'] ?? 20);
const SEED = Number(process.env['CIM_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
/** Longest wait for an answer: generous, since the machine may be busy; a hang is for ever. */
const DEADLINE_MS = 15_000;
const TOGETHER = 6;

let hub: World;
let registry: RegistryProcess;
const operator = testOperator();

beforeAll(async () => {
  hub = await world();
  // A registry that gives identities too: its routes shall do something.
  const signing = newSeed('publisher');
  writeFileSync(join(hub.directory, 'signing.seed'), `${signing.seed}\n`);
  registry = await hub.registry({
    identity: { account: newSeed('publisher').publicKey, signingSeedFile: '../signing.seed', perMinute: 1_000_000 },
    limits: { requestsPerMinute: 10_000_000, failuresPerMinute: 1_000_000 },
    trust: {
      publishers: [{ name: 'test', key: testPublisher().publicKey }],
      operators: [{ name: 'operator', key: operator.publicKey }],
    },
    log: { level: 'warn' },
  });
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

interface Heard {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

function send({ operation, role, path, headers, body }: FuzzRequest): Promise<Heard> {
  const given = role === 'nobody' ? {} : { authorization: `Bearer ${role === 'wrong' ? 'a-wrong-one' : tokenOf(role)}` };
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => sent.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
    const done = (heard: Heard) => {
      clearTimeout(late);
      resolve(heard);
    };
    // Wrong tokens are slowed by address: each comes from another.
    const address =
      role === 'wrong' ? `127.77.${Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}` : '127.0.0.1';
    const sent = httpRequest(
      `${registry.url}${path}`,
      { method: operation.method, headers: { ...given, ...headers }, localAddress: address },
      (answer) => {
        const status = answer.statusCode!;
        const type = String(answer.headers['content-type'] ?? '');
        if (type.startsWith('text/event-stream')) {
          answer.destroy();
          return done({ status, type, text: '' });
        }
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => done({ status, type, text: Buffer.concat(chunks).toString('utf8') }));
        answer.on('error', reject);
      },
    );
    sent.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(late);
      reject(error);
    });
    sent.end(body);
  });
}

/** Judges answers by the description: what is wrong with one, or undefined. */
function judgeOf(document: ApiDocument) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: 'api', components: document.components });
  const compiled = new Map<object, ReturnType<typeof ajv.compile>>();
  const validatorOf = (schema: object) => {
    let found = compiled.get(schema);
    if (!found) {
      found = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/')));
      compiled.set(schema, found);
    }
    return found;
  };
  return ({ operation }: FuzzRequest, { status, type, text }: Heard): string | undefined => {
    if (status >= 500) return `a ${status}`;
    const declared = status < 400 ? operation.responses[`${status}`] : operation.responses['default'];
    if (!declared) return `a ${status}, which the description does not have`;
    const content = Object.entries(declared.content ?? {});
    const problem = status >= 400;
    const [, media] = content.find(([name]) => type.startsWith(problem ? 'application/json' : name)) ?? content[0] ?? [];
    if (problem ? !type.startsWith('application/problem+json') : !content.some(([name]) => type.startsWith(name)))
      return `the type ${type}, where the description says ${content.map(([name]) => name).join(', ') || 'none'}`;
    if (!type.includes('json') || type.includes('ndjson') || !media?.schema) return undefined;
    const validate = validatorOf(media.schema);
    if (validate(JSON.parse(text))) return undefined;
    return `what the description does not allow: ${ajv.errorsText(validate.errors)}`;
  };
}

/** A machine has no role: it proves that it has the key, and changes its own identity only. */
const asNode = (action: string, { via }: AuditIntent['by']) =>
  via === 'node-key' && ['instance.token-used', 'instance.enrolled', 'instance.renewed'].includes(action);

/** The whole log, verified. */
async function auditLog(): Promise<AuditIntent[]> {
  const verifier = auditVerifier();
  const intents: AuditIntent[] = [];
  for (let after = 0; ; ) {
    const answer = await fetch(`${registry.url}/api/v1/audit?after=${after}`, {
      headers: { authorization: `Bearer ${tokenOf('admin')}` },
    });
    const lines = (await answer.text()).split('\n').filter((line) => line !== '');
    for (const line of lines) {
      const entry = decodeJson(AuditEntry, line, 'entry') as AuditEntry;
      expect(verifier.push(entry)).toBeUndefined();
      if (entry.body.phase === 'intent') intents.push(entry.body);
      after = entry.sequence;
    }
    if (lines.length === 0) return intents;
  }
}

/** Every value in every bucket that the API writes has an intent that says so. */
async function stateWithoutAudit(intents: readonly AuditIntent[]): Promise<string[]> {
  const byId = new Map(intents.map((intent) => [intent.id, intent]));
  const jsm = await jetstreamManager(hub.admin);
  const found: string[] = [];
  for (const row of rowsAt('hub')) {
    if (row.type !== 'kv' || row.name === 'CIM_NODES') continue;
    const { state } = await jsm.streams.info(`KV_${row.name}`);
    for (let seq = state.first_seq; seq <= state.last_seq && seq > 0; seq++) {
      const message = await jsm.streams.getMessage(`KV_${row.name}`, { seq });
      if (!message) continue;
      const intent = byId.get(message.header.get(AUDIT_HEADER));
      if (intent?.after !== digestOf(message.data))
        found.push(`${row.name} ${message.subject} (${message.time.toISOString()})`);
    }
  }
  return found;
}

test(
  `no request fails the registry, and none changes what is stored past the audit log (seed ${SEED}, ${SECONDS} s)`,
  async () => {
    const document = (await registry.ask('GET', '/openapi.json')).body as ApiDocument;
    const operations = operationsOf(document);
    const judge = judgeOf(document);
    const given = await seeds(document, hub, registry, operator);
    const arbitraries = operations.map((operation) => requestsTo(operation, given));
    const counts = new Map<string, number>();
    const reached = new Set<Operation>();
    const faults: string[] = [];
    const end = performance.now() + SECONDS * 1_000;
    let sent = 0;

    for (let round = 0; (performance.now() < end || round < 2) && faults.length < 5; round++) {
      // First what changes something and is right, then what reads it; all that follows is left to chance.
      const first = operations.filter(({ method }) => round === (method === 'GET' ? 1 : 0));
      const requests = first.flatMap((operation) => meantFor(operation, given));
      requests.push(...fc.sample(fc.oneof(...arbitraries), { seed: SEED + round, numRuns: 120 }));
      // Every operation at least once a round.
      requests.push(...arbitraries.map((one) => fc.sample(one, { seed: SEED + round, numRuns: 1 })[0]!));
      const queue = requests[Symbol.iterator]();
      await Promise.all(
        Array.from({ length: TOGETHER }, async () => {
          for (const request of queue) {
            if (performance.now() >= end + DEADLINE_MS) return;
            sent++;
            const { method, path } = request.operation;
            const complain = (what: string) =>
              faults.push(
                `${what}: ${method} ${request.path.slice(0, 300)} as ${request.role} ${JSON.stringify(request.headers).slice(0, 400)} ${String(request.body).slice(0, 600)}`,
              );
            try {
              const heard = await send(request);
              counts.set(`${heard.status}`, (counts.get(`${heard.status}`) ?? 0) + 1);
              if (heard.status < 300) reached.add(request.operation);
              const wrong = judge(request, heard);
              if (wrong !== undefined) complain(`${wrong} (${heard.text.slice(0, 300)})`);
              const { roles: may } = request.operation;
              const stranger = may.length > 0 && path !== '/metrics' && !may.includes(request.role);
              if (stranger && heard.status < 400) complain(`${heard.status} for a role that may not`);
            } catch (error) {
              // A server may close on a body it does not want to hear to its end.
              const { code } = error as NodeJS.ErrnoException;
              if (code === 'ECONNRESET' || code === 'EPIPE') counts.set('closed', (counts.get('closed') ?? 0) + 1);
              else complain(String(error));
            }
          }
        }),
      );
    }

    console.info(
      `fuzz: seed ${SEED}, ${sent} requests, ${operations.length} operations, ${reached.size} reached with a good answer (not: ${operations.flatMap((one) => (reached.has(one) ? [] : [`${one.method} ${one.path}`])).join(', ')}), ${JSON.stringify(Object.fromEntries([...counts].sort()))}`,
    );
    expect([SEED, faults]).toEqual([SEED, []]);
    // A route that only ever refused was not fuzzed behind its door.
    const refused = operations.filter((one) => !reached.has(one)).map(({ method, path }) => `${method} ${path}`);
    expect([SEED, refused]).toEqual([SEED, []]);
    expect(registry.log.filter((line) => /a request failed|unhandled|unexpected error/i.test(line))).toEqual([]);
    const intents = await auditLog();
    expect([SEED, await stateWithoutAudit(intents)]).toEqual([SEED, []]);
    for (const { action, by } of intents)
      expect([
        action,
        by.roles.some((role) => ['publisher', 'operator', 'admin'].includes(role)) || asNode(action, by),
      ]).toEqual([action, true]);
    expect(intents.length).toBeGreaterThan(4);
    expect((counts.get('closed') ?? 0) / sent).toBeLessThan(0.05);
    expect((await registry.ask('GET', '/health')).body.status).toBe('healthy');
  },
  (SECONDS + 120) * 1_000,
);
