/** The embedded fleet: real processes on one machine. The demonstration behind `npm start` is main.ts. */
export { findNatsServer, type NatsBinary } from './nats/binary.ts';
export { type NatsProcess, type StartNatsOptions, startNatsServer } from './nats/server.ts';
