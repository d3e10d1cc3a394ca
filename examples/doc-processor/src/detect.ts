/** Which format a text is in, when the caller does not say. Looks at the beginning only. */
import type { Format } from './model.ts';

const looked = 16_384;
const htmlStart =
  /^\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--[\s\S]{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body|article|main|section)\b/i;
const htmlTag = /<\/?(?:p|div|h[1-6]|ul|ol|li|table|tr|td|span|a|br|img|pre|blockquote|strong|em)(?:\s[^<>]{0,500})?>/gi;
const marks: readonly RegExp[] = [
  /^ {0,3}#{1,6} \S/gm,
  /^ {0,3}(?:`{3}|~{3})/gm,
  /\[[^[\]\n]{1,200}\]\([^()\s]{1,500}\)/g,
  /^ {0,3}[-*+] \S/gm,
  /^ {0,3}>\s?\S/gm,
  /^\|.{1,500}\|[ \t]*$/gm,
  /\*\*[^*\s][^*\n]{0,200}\*\*/g,
  /`[^`\n]{1,200}`/g,
  /^\[[^[\]\n]{1,100}\]: \S/gm,
];
/** These are seldom in a text that is not Markdown; one is enough. */
const certain = new Set([0, 1, 2]);

export function detectFormat(content: string): Format {
  const start = content.slice(0, looked);
  if (htmlStart.test(start)) return 'html';
  const counts = marks.map((mark) => start.match(mark)?.length ?? 0);
  const markdown = counts.filter((count, index) => count > 0 && (certain.has(index) || count > 1)).length;
  const tags = start.match(htmlTag)?.length ?? 0;
  if (tags >= 3 && tags > counts.reduce((a, b) => a + b, 0)) return 'html';
  if (/^(?:---|\+\+\+)[ \t]*\r?\n[\s\S]*?\n(?:---|\+\+\+)[ \t]*(?:\r?\n|$)/.test(start)) return 'markdown';
  return counts.some((count, index) => count > 0 && certain.has(index)) || markdown >= 2 ? 'markdown' : 'text';
}
