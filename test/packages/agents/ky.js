import ky from 'ky';
import { using } from '../using.js';

export default using(async () => {
  const fetch = async (request) => {
    const said = { url: request.url, method: request.method, type: request.headers.get('content-type') };
    return new Response(JSON.stringify(said), { status: request.url.endsWith('bad') ? 418 : 200 });
  };
  const good = await ky.post('https://a.test/x', { json: { a: 1 }, searchParams: { q: 'ä' }, fetch }).json();
  const bad = await ky('https://a.test/bad', { fetch, retry: 0 }).catch((error) => [error.name, error.response.status]);
  return { good, bad };
});
