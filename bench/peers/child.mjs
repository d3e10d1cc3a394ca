/** The guest of the peer `child_process`: a plain Node behind fork's channel. */
const handle = (text) => JSON.stringify({ ...JSON.parse(text), seen: true });
process.on('message', (text) => process.send(handle(text)));
process.on('disconnect', () => process.exit(0));
