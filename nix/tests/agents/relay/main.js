/** An agent that asks another one, wherever that runs, and says who asked; it counts in its own store on the leaf. */
export default {
  api: 1,
  name: 'relay',
  version: '1.0.0',
  kind: 'agent',
  grants: { call: ['greeting.*'], kv: true },
  capabilities: {
    'relay.ask': {
      handle: async (name, ctx) => ({ by: ctx.workload.instance, said: await ctx.call('greeting.say', { name }) }),
    },
    'relay.count': {
      handle: async (by, ctx) => {
        const sum = ((await ctx.kv.get('sum')) ?? 0) + by;
        await ctx.kv.put('sum', sum);
        return sum;
      },
    },
  },
};
