/** `npm run build`: packages and build, without a nats-server. Nothing happens when nothing changed. */
import { after } from './setup.mjs';

await after({ natsServer: false }, async () => 0);
