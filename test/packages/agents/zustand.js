import { createStore } from 'zustand/vanilla';
import { using } from '../using.js';

export default using(async () => {
  const seen = [];
  const store = createStore((set) => ({ n: 0, add: () => set((state) => ({ n: state.n + 1 })) }));
  store.subscribe((state) => seen.push(state.n));
  store.getState().add();
  store.getState().add();
  return seen;
});
