/** Where lines begin: CRLF, LF and CR all end one, as Markdown and HTML see it. */

/** Offsets of the first character of each line; the first is 0. */
export type Lines = readonly number[];

export function linesOf(content: string): Lines {
  const starts = [0];
  for (const match of content.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return starts;
}

/** The line of an offset, from 1. Binary search. */
export function lineAt(lines: Lines, offset: number): number {
  let low = 0;
  let high = lines.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lines[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low + 1;
}
