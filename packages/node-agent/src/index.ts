/** The node-agent is a program (`cim-node-agent`); its door is the composition root, for embedding and tests. */
export { readConfig } from './config.ts';
export { type NodeOptions, type RunningNode, startNode } from './node.ts';
