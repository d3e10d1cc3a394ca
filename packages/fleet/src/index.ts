/** The embedded fleet: real processes on one machine. The demonstration behind `npm start` is main.ts. */
export { type AgentOptions, startAgent } from './agent.ts';
export { type Answer, type Caller, callerAt } from './caller.ts';
export type { Daemon } from './daemon.ts';
export { type Fleet, type FleetOptions, type Member, startFleet } from './fleet.ts';
export { type HubOptions, hubUsers, leafUser, startHub } from './hub.ts';
export type { Identities } from './identities.ts';
export { agentUser, instanceDirectory, type LeafOptions, leafAdminUser, startLeaf } from './leaf.ts';
export { freePort } from './machine/ports.ts';
export { findNatsServer, type NatsBinary } from './nats/binary.ts';
export { type Link, type LinkOptions, openLink } from './nats/link.ts';
export { type NatsProcess, type StartNatsOptions, startNatsServer } from './nats/server.ts';
export type { PartEvent } from './parts.ts';
export { type Overlay, type RegistryOptions, startRegistry } from './registry.ts';
export { type Key, openSecrets, type Secrets } from './secrets.ts';
