import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfm } from 'micromark-extension-gfm';
import { gfmFromMarkdown } from 'mdast-util-gfm';
const ext=[gfm()], me=[gfmFromMarkdown()];
const run=(k:string,v:string,reps:number)=>{const t=performance.now();for(let i=0;i<reps;i++) fromMarkdown(v,{extensions:ext,mdastExtensions:me});console.log(k,v.length,((performance.now()-t)/reps).toFixed(2))};
run('warm','Hello *world* [a](b).\n\n'.repeat(50),20);
run('empty','',200);
run('2k','The quick *brown* fox [jumps](x) over. '.repeat(50),50);
run('2kparas','The quick *brown* fox [jumps](x) over.\n\n'.repeat(50),50);
run('8k prose','The quick brown fox jumps over the lazy dog. '.repeat(180),20);
for (const n of [50,100,200,400]) { run('mixed'+n,'*_'.repeat(n/2)+' a',3); run('starsClose'+n,'a* '.repeat(n),3); run('setext'+n,'a\n=\n'.repeat(n),3); run('closers'+n,'x]'.repeat(n),3); run('brackets2'+n,'[a]('.repeat(n),3);run('tbl'+n,'|a|b|\n|-|-|\n'+'|x|y|\n'.repeat(n),3); run('q16-'+n,'> '.repeat(16)+'a\n'.repeat(n),3);run('code'+n,'```js\n'+'const x = 1;\n'.repeat(n)+'```\n',3); run('at'+n,'a@b.c '.repeat(n),3); run('www'+n,'www.a.b '.repeat(n),3); run('defs'+n,'[a]: b\n'.repeat(n),3); run('listitems'+n,'- a\n'.repeat(n),3); run('lt'+n,'<a '.repeat(n),3); run('ticks'+n,'` `` '.repeat(n),3); run('pipes'+n,'|'.repeat(n)+'\n'+'|-'.repeat(n),3); run('atx'+n,'# a\n'.repeat(n),3); run('nl'+n,'a\n'.repeat(n),3)}
