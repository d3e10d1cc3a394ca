/** An agent with one capability, `package.use`, whose answer is what `use` returns. */
import { defineAgent } from '@cim/alchemist/agent';

export const using = (use) => defineAgent({ version: '1.0.0', capabilities: { 'package.use': { handle: () => use() } } });
