/**
 * The Minimum Common Web API (Ecma TC55, 2025 snapshot, "Common API Index"), as data: every interface, method and property it lists, with
 * the members its standard gives it, and the reasons for what is not here. Presence is not written down: it is looked up in an isolate.
 */

export interface Entry {
  /** As it is reached from the global scope, e.g. `WebAssembly.Module`, `navigator.userAgent`. */
  readonly name: string;
  readonly standard: string;
  /** Members of the prototype, or of the object itself where it is no interface. */
  readonly members?: string;
  readonly statics?: string;
  /** Why it is absent, or what of it differs. Required for what is not wholly there. */
  readonly note?: string;
}

const WASM =
  "only with `grants.wasm`, where the instance allows it: memory of WebAssembly is not counted by the isolate's heap limit";
const wasm = (name: string, standard = 'WASM-JS-API-2'): Entry => ({ name: `WebAssembly.${name}`, standard, note: WASM });
const NO_TARGET =
  "the global object is no EventTarget; as the standard asks of such runtimes there is no handler property, and what nobody caught goes to the workload's log with its stack";

export const interfaces: readonly Entry[] = [
  { name: 'AbortController', standard: 'DOM', members: 'signal abort' },
  { name: 'AbortSignal', standard: 'DOM', members: 'aborted reason throwIfAborted onabort', statics: 'abort timeout any' },
  { name: 'Blob', standard: 'FILEAPI', members: 'size type slice stream text arrayBuffer bytes' },
  { name: 'ByteLengthQueuingStrategy', standard: 'STREAMS', members: 'highWaterMark size' },
  { name: 'CompressionStream', standard: 'COMPRESSION', members: 'readable writable' },
  { name: 'CountQueuingStrategy', standard: 'STREAMS', members: 'highWaterMark size' },
  { name: 'Crypto', standard: 'WEBCRYPTO', members: 'subtle getRandomValues randomUUID' },
  { name: 'CryptoKey', standard: 'WEBCRYPTO', members: 'type extractable algorithm usages' },
  { name: 'CustomEvent', standard: 'DOM', members: 'detail initCustomEvent', note: '`initCustomEvent` is legacy' },
  { name: 'DecompressionStream', standard: 'COMPRESSION', members: 'readable writable' },
  { name: 'DOMException', standard: 'WEBIDL', members: 'name message code' },
  { name: 'ErrorEvent', standard: 'HTML', note: 'its attributes are properties of the instance; nothing fires it by itself' },
  {
    name: 'Event',
    standard: 'DOM',
    members:
      'type target srcElement currentTarget composedPath eventPhase stopPropagation cancelBubble stopImmediatePropagation bubbles cancelable returnValue preventDefault defaultPrevented composed timeStamp initEvent',
  },
  { name: 'EventTarget', standard: 'DOM', members: 'addEventListener removeEventListener dispatchEvent' },
  { name: 'File', standard: 'FILEAPI', members: 'name lastModified' },
  { name: 'FormData', standard: 'XHR', members: 'append delete get getAll has set entries keys values forEach' },
  { name: 'Headers', standard: 'FETCH', members: 'append delete get getSetCookie has set entries keys values forEach' },
  {
    name: 'MessageChannel',
    standard: 'HTML',
    note: 'within the isolate only; `port1` and `port2` are properties of the instance',
  },
  { name: 'MessageEvent', standard: 'HTML', note: 'its attributes are properties of the instance' },
  {
    name: 'MessagePort',
    standard: 'HTML',
    members: 'postMessage start close onmessage onmessageerror',
    note: 'ports cannot be transferred, so a message is always readable',
  },
  { name: 'Performance', standard: 'HR-TIME', members: 'now timeOrigin toJSON', note: 'a coarse clock: whole milliseconds' },
  {
    name: 'PromiseRejectionEvent',
    standard: 'HTML',
    note: 'its attributes are properties of the instance; nothing fires it by itself',
  },
  { name: 'ReadableByteStreamController', standard: 'STREAMS', members: 'byobRequest desiredSize close enqueue error' },
  {
    name: 'ReadableStream',
    standard: 'STREAMS',
    members: 'locked cancel getReader pipeThrough pipeTo tee values',
    statics: 'from',
  },
  { name: 'ReadableStreamBYOBReader', standard: 'STREAMS', members: 'closed cancel read releaseLock' },
  { name: 'ReadableStreamBYOBRequest', standard: 'STREAMS', members: 'view respond respondWithNewView' },
  { name: 'ReadableStreamDefaultController', standard: 'STREAMS', members: 'desiredSize close enqueue error' },
  { name: 'ReadableStreamDefaultReader', standard: 'STREAMS', members: 'closed cancel read releaseLock' },
  {
    name: 'Request',
    standard: 'FETCH',
    members:
      'method url headers destination referrer referrerPolicy mode credentials cache redirect integrity keepalive isReloadNavigation isHistoryNavigation signal duplex clone body bodyUsed arrayBuffer blob bytes formData json text',
    note: 'there is no navigation; of mode, credentials and cache nothing follows, since there is no origin, no cookie jar and no cache',
  },
  {
    name: 'Response',
    standard: 'FETCH',
    members: 'type url redirected status ok statusText headers clone body bodyUsed arrayBuffer blob bytes formData json text',
    statics: 'error redirect json',
  },
  {
    name: 'SubtleCrypto',
    standard: 'WEBCRYPTO',
    members: 'encrypt decrypt sign verify digest generateKey deriveKey deriveBits importKey exportKey wrapKey unwrapKey',
    note: 'HMAC, AES-GCM (tags of 128 bits), AES-CBC, AES-CTR, AES-KW, HKDF, PBKDF2, ECDSA and ECDH on P-256, P-384 and P-521, Ed25519, X25519; of RSA verifying only (RSASSA-PKCS1-v1_5, RSA-PSS): signing with a secret of RSA in script could be timed; no RSA-OAEP',
  },
  {
    name: 'TextDecoder',
    standard: 'ENCODING',
    members: 'decode',
    note: 'its attributes are properties of the instance; no legacy multi-byte encodings (gbk, big5, euc-*, shift_jis, iso-2022-jp): their tables are 150 KiB',
  },
  {
    name: 'TextDecoderStream',
    standard: 'ENCODING',
    note: 'its attributes are properties of the instance; encodings as TextDecoder',
  },
  { name: 'TextEncoder', standard: 'ENCODING', members: 'encode encodeInto', note: '`encoding` is a property of the instance' },
  { name: 'TextEncoderStream', standard: 'ENCODING', note: 'its attributes are properties of the instance' },
  { name: 'TransformStream', standard: 'STREAMS', members: 'readable writable' },
  { name: 'TransformStreamDefaultController', standard: 'STREAMS', members: 'desiredSize enqueue error terminate' },
  {
    name: 'URL',
    standard: 'URL',
    members: 'href origin protocol username password host hostname port pathname search searchParams hash toJSON',
    statics: 'canParse parse',
  },
  {
    name: 'URLPattern',
    standard: 'URLPATTERN',
    members: 'protocol username password hostname port pathname search hash hasRegExpGroups test exec',
  },
  {
    name: 'URLSearchParams',
    standard: 'URL',
    members: 'size append delete get getAll has set sort toString entries keys values forEach',
  },
  ...['Global', 'Instance', 'Memory', 'Module', 'Table', 'Tag', 'Exception', 'CompileError', 'LinkError', 'RuntimeError'].map(
    (name) => wasm(name),
  ),
  { name: 'WritableStream', standard: 'STREAMS', members: 'locked abort close getWriter' },
  { name: 'WritableStreamDefaultController', standard: 'STREAMS', members: 'signal error' },
  {
    name: 'WritableStreamDefaultWriter',
    standard: 'STREAMS',
    members: 'closed desiredSize ready abort close releaseLock write',
  },
];

export const properties: readonly Entry[] = [
  { name: 'globalThis', standard: 'ECMASCRIPT' },
  { name: 'atob', standard: 'HTML' },
  { name: 'btoa', standard: 'HTML' },
  { name: 'clearTimeout', standard: 'HTML' },
  { name: 'clearInterval', standard: 'HTML' },
  {
    name: 'console',
    standard: 'CONSOLE',
    members:
      'assert clear debug error info log table trace warn dir dirxml count countReset group groupCollapsed groupEnd time timeLog timeEnd',
    note: "lines go to the workload's log, 2 KiB each and 256 a second; groups are not indented",
  },
  { name: 'crypto', standard: 'WEBCRYPTO' },
  {
    name: 'fetch',
    standard: 'FETCH',
    note: 'within `grants.http`, made by the daemon; bodies are held whole, up to `maxBytes`; no cache, no cookies, no CORS',
  },
  { name: 'navigator.userAgent', standard: 'HTML' },
  { name: 'onerror', standard: 'HTML', note: NO_TARGET },
  { name: 'onunhandledrejection', standard: 'HTML', note: NO_TARGET },
  { name: 'onrejectionhandled', standard: 'HTML', note: NO_TARGET },
  { name: 'performance', standard: 'HR-TIME' },
  { name: 'queueMicrotask', standard: 'HTML' },
  { name: 'reportError', standard: 'HTML', note: "to the workload's log, with its stack" },
  { name: 'self', standard: 'HTML' },
  {
    name: 'setTimeout',
    standard: 'HTML',
    note: 'at most 1,024 timers at a time, none shorter than 4 ms; no code from strings',
  },
  { name: 'setInterval', standard: 'HTML', note: 'as setTimeout' },
  {
    name: 'structuredClone',
    standard: 'HTML',
    note: "of the platform's own objects DOMException, Blob and File can be cloned; of the transferable ones ArrayBuffer",
  },
  ...['compile', 'instantiate', 'JSTag', 'validate'].map((name) => wasm(name)),
  ...['compileStreaming', 'instantiateStreaming'].map((name) => ({
    ...wasm(name, 'WASM-WEB-API-2'),
    note: `${WASM}; not there even then: instantiate from bytes`,
  })),
];
