/**
 * Turns positions in the bundled entry into positions in the author's source, with the bundle's own source map. The map is the
 * publisher's, so it is read in the publisher's cell, when the first stack needs it, and only so large.
 */
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping';
import { type GuestFault, LOG_LIMIT, OUT, OUT_FIELDS } from '../protocol.ts';

export interface StackMap {
  map(stack: string): string;
  /** Maps the stacks in a batch on its way out, in faults and in lines of log. */
  mapRecords(head: string, body: string): { head: string; body: string };
}

/** @param sourceMap JSON, or '' where there is none */
export function createStackMap(entry: string, sourceMap: string): StackMap {
  const position = new RegExp(`${entry.replaceAll('.', '\\.')}:(\\d+):(\\d+)`, 'g');
  let trace: TraceMap | undefined;
  let broken = sourceMap === '';

  const map = (stack: string, written = (place: string): string => place): string => {
    if (broken) return stack;
    try {
      trace ??= new TraceMap(sourceMap);
      const found = trace;
      return stack.replace(position, (whole, line: string, column: string) => {
        const original = originalPositionFor(found, { line: Number(line), column: Math.max(0, Number(column) - 1) });
        return original.source === null ? whole : written(`${original.source}:${original.line}:${original.column + 1}`);
      });
    } catch {
      broken = true;
      return stack;
    }
  };

  return {
    map: (stack) => map(stack),
    mapRecords(head, body) {
      const numbers = JSON.parse(`[${head}]`) as number[];
      let from = 0;
      let mapped = '';
      for (let at = 0; at < numbers.length; ) {
        const kind = numbers[at]!;
        const last = at + OUT_FIELDS[kind]!;
        if (kind !== OUT.wake) {
          let text = body.slice(from, from + numbers[last]!);
          from += numbers[last]!;
          if (kind === OUT.fault) {
            const fault = JSON.parse(text) as GuestFault;
            if (fault.stack !== undefined) text = JSON.stringify({ ...fault, stack: map(fault.stack) });
            numbers[last] = text.length;
          } else if (kind === OUT.log) {
            // The line is JSON, and so is what goes into it; one that would become too long stays as it was.
            const said = map(text, (place) => JSON.stringify(place).slice(1, -1));
            if (said.length <= 2 * LOG_LIMIT) text = said;
            numbers[last] = text.length;
          }
          mapped += text;
        }
        at = last + 1;
      }
      return { head: numbers.join(','), body: mapped };
    },
  };
}
