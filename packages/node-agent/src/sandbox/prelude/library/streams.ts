/** Streams: the polyfill made from the standard's reference implementation. */
export * from 'web-streams-polyfill';
