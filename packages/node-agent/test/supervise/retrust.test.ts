/** What a change of trust does to what runs: the untrusted stops at once and visibly, the rest does not notice. */
import { Fault } from '@cim/contracts';
import { expect, test } from 'vitest';
import { house } from './house.ts';

const revoked = new Fault('publisher-revoked', 'the key was revoked: stolen');

test('what is no longer trusted stops at once, without draining, and says why', async () => {
  const home = house();
  home.publish('bad', '1.0.0');
  home.publish('good', '1.0.0');
  await home.deploy('bad', '1.0.0', { replicas: 2 });
  await home.deploy('good', '1.0.0');
  expect(home.living()).toEqual(['bad@1.0.0#0', 'bad@1.0.0#1', 'good@1.0.0#0']);
  home.supervisor.retrust(({ statement }) => (statement.name === 'bad' ? revoked : undefined));
  await expect(home.call('bad.greet')).rejects.toMatchObject({ code: 'capability-unknown' });
  await home.clock.advance(0);
  expect(home.living()).toEqual(['good@1.0.0#0']);
  expect(home.status('bad')).toMatchObject({ state: 'failed', reason: { code: 'publisher-revoked' }, converged: false });
  expect(home.status('good')).toMatchObject({ state: 'ready', converged: true });
  expect(home.events.filter(({ type }) => type === 'agent.failed').map(({ data }) => data['code'])).toEqual([
    'publisher-revoked',
  ]);
  // Time heals nothing here.
  await home.clock.advance(600_000);
  expect(home.living()).toEqual(['good@1.0.0#0']);
});

test('a version that is withdrawn while it serves and another is on its way leaves the way free', async () => {
  const home = house();
  home.publish('app', '1.0.0');
  home.publish('app', '2.0.0', {}, 2);
  await home.deploy('app', '1.0.0');
  const hung = home.hangFetch('app', '2.0.0');
  await home.deploy('app', '2.0.0');
  home.supervisor.retrust(({ statement }) => (statement.version === '1.0.0' ? revoked : undefined));
  await home.clock.advance(0);
  expect(home.living()).toEqual([]);
  expect(hung()).toBe(false);
});

test('what was refused for want of trust gets another chance; what failed otherwise does not', async () => {
  const home = house();
  home.publish('late', '1.0.0');
  home.publish('broken', '1.0.0');
  const trusted = home.breakFetch('late', '1.0.0', () => new Fault('signer-unknown', 'who?'));
  home.breakFetch('broken', '1.0.0', () => new Fault('bundle-malformed', 'no'));
  await home.deploy('late', '1.0.0');
  await home.deploy('broken', '1.0.0');
  expect([home.status('late')?.state, home.status('broken')?.state]).toEqual(['failed', 'failed']);
  trusted();
  const tries = home.fetched.length;
  home.supervisor.retrust(() => undefined);
  await home.clock.advance(0);
  expect(home.status('late')?.state).toBe('ready');
  expect(home.status('broken')?.state).toBe('failed');
  expect(home.fetched.length).toBe(tries + 1);
});
