import axios from 'axios';
import { using } from '../using.js';

export default using(async () => {
  const seen = [];
  const adapter = async (config) => {
    seen.push(config.url, config.method, JSON.stringify(config.params));
    return { data: '{"ok":true}', status: 200, statusText: 'OK', headers: {}, config };
  };
  const client = axios.create({ baseURL: 'https://api.test', adapter });
  const { data } = await client.get('/x', { params: { a: 1 } });
  return { data, seen };
});
