/** Identities over HTTP. Who enrols has no token of the registry, so those routes have a rate of their own, by address. */
import { type Clock, Fault } from '@cim/contracts';
import type { Identities } from '../enrol/identities.ts';
import { type App, actorOf, at } from './app.ts';
import { identityRoutes as routes } from './routes-identity.ts';

export interface IdentityRooms {
  readonly clock: Clock;
  readonly identities: Identities;
  /** Enrolments and renewals one address may ask for in a minute. */
  readonly perMinute: number;
}

/** Most addresses that are counted at a time; the oldest are forgotten. */
const MOST_ADDRESSES = 10_000;

export function identityHandlers(app: App, { clock, identities, perMinute }: IdentityRooms): void {
  const asked = new Map<string, { from: number; count: number }>();
  const spend = (address: string) => {
    const now = clock.monotonic();
    let window = asked.get(address);
    if (window === undefined || now - window.from >= 60_000) {
      window = { from: now, count: 0 };
      asked.delete(address);
      asked.set(address, window);
      if (asked.size > MOST_ADDRESSES) asked.delete(asked.keys().next().value!);
    }
    window.count++;
    if (window.count <= perMinute) return;
    const seconds = Math.ceil((60_000 - (now - window.from)) / 1000);
    throw new Fault(
      'rate-limited',
      `at most ${perMinute} enrolments a minute from one address (identity.perMinute); again in ${seconds} s`,
    );
  };

  app.route({
    ...at(routes.orderEnrolment),
    async handler(request, reply) {
      return reply.status(201).send(await identities.order(request.body, actorOf(request)));
    },
  });
  app.route({
    ...at(routes.enrol),
    async handler({ body, id, ip }) {
      spend(ip);
      return identities.enrol(body, { requestId: id, address: ip });
    },
  });
  app.route({
    ...at(routes.renewCredential),
    async handler({ body, id, ip }) {
      spend(ip);
      return identities.renew(body, { requestId: id, address: ip });
    },
  });
  app.route({ ...at(routes.identity), handler: ({ params }) => identities.of(params.instance) });
  app.route({
    ...at(routes.revokeIdentity),
    handler: (request) => identities.revoke(request.params.instance, actorOf(request)),
  });
}
