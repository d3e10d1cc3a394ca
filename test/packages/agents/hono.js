import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { using } from '../using.js';

export default using(async () => {
  const app = new Hono();
  app.use(cors());
  app.get('/hello/:name', (c) => c.json({ hello: c.req.param('name'), q: c.req.query('q') }));
  app.post('/form', async (c) => c.text(String((await c.req.parseBody()).a)));
  const one = await app.request('http://x.test/hello/ada?q=1');
  const form = new FormData();
  form.set('a', 'b');
  const two = await app.request('http://x.test/form', { method: 'POST', body: form });
  return {
    one: await one.json(),
    cors: one.headers.get('access-control-allow-origin'),
    two: await two.text(),
    none: (await app.request('http://x.test/no')).status,
  };
});
