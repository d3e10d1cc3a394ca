/** Asks the hub for a sign of life over the leaf: whether it answers, and if not, whether the leaf has a link to it at all. */
import { dataOf, streamName, topology } from '@cim/contracts';
import { RequestError } from '@nats-io/transport-node';
import type { Leaf } from './leaf.ts';

const SIGN_MS = 500;

/** @returns `no-link` where the leaf says that nobody can hear it, `silent` where nothing is said at all, the leaf's own absence included */
export async function hubSign(hubLink: Leaf, hubDomain: string, instance: string): Promise<'heard' | 'no-link' | 'silent'> {
  const connection = hubLink.current();
  // Without the leaf nothing can be said of its link.
  if (!connection) return 'silent';
  try {
    // A key nobody writes: that there is none is an answer too.
    const key = `${dataOf(topology.desired)}.${instance}.sign.of-life`;
    await connection.request(`$JS.${hubDomain}.API.DIRECT.GET.${streamName(topology.desired)}.${key}`, '', {
      timeout: SIGN_MS,
    });
    return 'heard';
  } catch (error) {
    return error instanceof RequestError && error.isNoResponders() ? 'no-link' : 'silent';
  }
}
