/** An agent that asks for more than it may have: memory until it is ended, and whole seconds of the processor. */
export default {
  api: 1,
  name: 'stress',
  version: '1.0.0',
  kind: 'agent',
  resources: { memory: '64Mi', cpu: '250m' },
  configuration: { timeout: '60s', turn: '30s' },
  capabilities: {
    'stress.who': { handle: (_input, ctx) => ctx.workload.instance },
    /** Fills memory outside the language's own heap, where only the kernel counts. */
    'stress.memory': {
      handle: (megabytes) => {
        const held = [];
        for (let index = 0; index < megabytes; index++) held.push(new Uint8Array(1024 * 1024).fill(index));
        return held.length;
      },
    },
    'stress.spin': {
      handle: (milliseconds) => {
        const end = Date.now() + milliseconds;
        let turns = 0;
        while (Date.now() < end) turns++;
        return turns > 0;
      },
    },
  },
};
