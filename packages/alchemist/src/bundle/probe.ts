/**
 * The text of the program that reads a definition, run by `evaluate.ts` in a child process. Text and not a file: the child has no
 * right to read any. It takes the entry on standard input and answers one JSON document on standard output.
 */
export const PROBE = `
import vm from 'node:vm';
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const source = Buffer.concat(chunks).toString('utf8');
const quiet = () => {};
const offered = 'setTimeout clearTimeout setInterval clearInterval queueMicrotask structuredClone atob btoa URL URLSearchParams URLPattern ' +
  'TextEncoder TextDecoder TextEncoderStream TextDecoderStream Event EventTarget CustomEvent AbortController AbortSignal DOMException ' +
  'Blob File FormData Headers Request Response ReadableStream ReadableStreamDefaultReader ReadableStreamBYOBReader WritableStream ' +
  'WritableStreamDefaultWriter TransformStream ByteLengthQueuingStrategy CountQueuingStrategy CompressionStream DecompressionStream ' +
  'MessageChannel MessagePort MessageEvent Crypto CryptoKey SubtleCrypto crypto Performance performance';
const context = vm.createContext({
  console: { log: quiet, info: quiet, warn: quiet, error: quiet, debug: quiet, trace: quiet },
  ...Object.fromEntries(offered.split(' ').filter((name) => name in globalThis).map((name) => [name, globalThis[name]])),
  navigator: { userAgent: 'CIM' },
  fetch: async () => { throw new TypeError('fetch: nothing is fetched while the definition is read; call it in a handler'); },
}, { codeGeneration: { strings: true, wasm: false } });
vm.runInContext('globalThis.self = globalThis', context);
const answer = (value) => process.stdout.write(JSON.stringify(value), () => process.exit(0));
const issues = [];
const kindOf = (value) => value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
function data(value, path, depth = 0) {
  if (depth > 64) { issues.push({ path, message: 'expected data at most 64 levels deep' }); return null; }
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    issues.push({ path, message: 'expected a finite number, found ' + value }); return null;
  }
  if (Array.isArray(value)) return value.map((item, i) => data(item, path + '[' + i + ']', depth + 1));
  if (typeof value === 'object') {
    const out = {};
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined) out[key] = data(item, path === '' ? key : path + '.' + key, depth + 1);
    }
    return out;
  }
  issues.push({ path, message: 'expected data that JSON can say, found ' + (typeof value === 'function' ? 'a function' : 'a ' + typeof value) });
  return null;
}
function read(found) {
  if (found === null || typeof found !== 'object' || Array.isArray(found)) {
    issues.push({ path: 'default', message: 'expected the entry file to export default defineAgent({...}) or defineService({...}), found ' + (found === undefined ? 'no default export' : kindOf(found)) });
    return {};
  }
  if (found.kind !== 'agent' && found.kind !== 'service') {
    issues.push({ path: 'default', message: 'expected what defineAgent or defineService returns, found an object without kind' });
    return {};
  }
  const { capabilities, subscribe, schedule, start, stop, health, ...rest } = found;
  const out = data(rest, '');
  out.capabilities = {};
  for (const [name, value] of Object.entries(capabilities ?? {})) {
    const { handle, ...facts } = value;
    out.capabilities[name] = data(facts, 'capabilities["' + name + '"]');
  }
  out.subscribe = Object.keys(subscribe ?? {});
  out.schedule = {};
  for (const [name, value] of Object.entries(schedule ?? {})) {
    const { run, ...facts } = value;
    out.schedule[name] = data(facts, 'schedule["' + name + '"]');
  }
  out.hooks = {};
  for (const [name, hook] of Object.entries({ start, stop, health })) {
    if (hook !== undefined && typeof hook !== 'function') issues.push({ path: name, message: 'expected a function, found ' + kindOf(hook) });
    out.hooks[name] = typeof hook === 'function';
  }
  return out;
}
try {
  const module = new vm.SourceTextModule(source, { context, identifier: 'main.mjs', importModuleDynamically: () => { throw new Error('import() of a module that was not bundled'); } });
  await module.link((name) => { throw new Error('import of ' + name + ', which was not bundled'); });
  await module.evaluate();
  answer({ kind: 'definition', definition: read(module.namespace.default), issues });
} catch (error) {
  answer({ kind: 'threw', message: String(error?.message ?? error), stack: String(error?.stack ?? '') });
}
`;
