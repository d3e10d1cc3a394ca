/**
 * Which addresses a guest may be led to. Pure.
 *
 * Promises:
 * A1. An address is `public`, `private` (reachable with a grant that says so) or `never`. What is in no list that makes it public is not:
 *     of IPv6 only 2000::/3 can be, so mapped, translated and embedded forms of IPv4 addresses are `never`.
 * A2. What hands out a machine's own credentials (link-local and the providers' metadata addresses) is `never`.
 */
import { BlockList, isIP } from 'node:net';

export type Reach = 'public' | 'private' | 'never';

type Range = readonly [net: string, prefix: number];

/** Loopback, RFC 1918, RFC 6598 (shared by carriers), RFC 4193. */
const PRIVATE: readonly Range[] = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['::1', 128],
  ['fc00::', 7],
];
/** IANA's special-purpose registries less the above, and addresses of cloud metadata outside of link-local. */
const NEVER: readonly Range[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];
/** Global unicast: all there is of it. */
const GLOBAL6: Range = ['2000::', 3];

const listOf = (ranges: readonly Range[]): BlockList => {
  const list = new BlockList();
  for (const [net, prefix] of ranges) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4');
  return list;
};
const isPrivate = listOf(PRIVATE);
const isNever = listOf(NEVER);
const isGlobal6 = listOf([GLOBAL6]);

/** Four numbers or eight groups; an address with a zone is refused as `never`. */
export function reachOf(address: string): Reach {
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return 'never';
  if (version === 4) {
    if (isNever.check(address, 'ipv4')) return 'never';
    return isPrivate.check(address, 'ipv4') ? 'private' : 'public';
  }
  // The list sees the IPv4 address inside a mapped one; the mapped form itself is nothing a resolver should answer.
  if (isMapped(address) || isNever.check(address, 'ipv6')) return 'never';
  if (isPrivate.check(address, 'ipv6')) return 'private';
  return isGlobal6.check(address, 'ipv6') ? 'public' : 'never';
}

const mapped = listOf([['::ffff:0:0', 96]]);
const isMapped = (address: string): boolean => mapped.check(address, 'ipv6');
