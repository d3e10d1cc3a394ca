import * as cheerio from 'cheerio/slim';
import { using } from '../using.js';

export default using(async () => {
  const $ = cheerio.load(
    '<table><tr><td>Ada</td><td>36</td></tr><tr><td>Bob</td><td>41</td></tr></table><a href="/x?a=1&amp;b=2">l</a>',
  );
  const rows = $('tr')
    .map((_, row) => ({ name: $('td', row).first().text(), age: Number($('td', row).last().text()) }))
    .get();
  $('td').addClass('cell');
  return { rows, href: $('a').attr('href'), html: $('tr').first().html() };
});
