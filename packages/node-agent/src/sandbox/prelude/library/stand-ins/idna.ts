/** tr46 for the URL parser: plain ASCII names are their own result (the parser itself refuses what a host may not hold). */
import { part } from '../given.ts';

export function toASCII(name: string, options: object): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(name) && !/(?:^|\.)xn--/i.test(name)) return name.toLowerCase();
  return part('idna').toASCII(name, options);
}
