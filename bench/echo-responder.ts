/** The floor of every call figure: a bare responder on nats.js, a process of its own, that echoes what it gets. */
import { connect } from '@nats-io/transport-node';

const [url, user, pass, subject] = process.argv.slice(2) as [string, string, string, string];
const connection = await connect({ servers: url, user, pass });
connection.subscribe(subject, { callback: (_error, message) => void message.respond(message.data) });
await connection.flush();
process.stdout.write('ready\n');
process.on('SIGTERM', () => void connection.drain().then(() => process.exit(0)));
