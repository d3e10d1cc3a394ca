/**
 * Names for the consumers this node holds on the hub: a few fixed ones (contracts, `consumerNames`), since those are what its permissions
 * name. A name is lent to one follow at a time; who finds none free waits.
 *
 * Promises:
 * L1. A name is lent again only after the hub has been asked to forget its last consumer and has answered, or a deadline has passed.
 * L2. Waiting ends with the signal.
 */
export interface ConsumerSlot {
  readonly name: string;
  /** Gives the name back when `forgotten` has settled. */
  release(forgotten: Promise<unknown>): void;
}

export interface ConsumerSlots {
  /** @throws the signal's reason */
  take(signal: AbortSignal): Promise<ConsumerSlot>;
}

export function createConsumerSlots(names: readonly string[]): ConsumerSlots {
  const free = [...names];
  const waiting: ((name: string) => void)[] = [];
  const giveBack = (name: string) => {
    const next = waiting.shift();
    if (next) next(name);
    else free.push(name);
  };
  const lend = (name: string): ConsumerSlot => ({
    name,
    release(forgotten) {
      void forgotten.then(
        () => giveBack(name),
        () => giveBack(name),
      );
    },
  });
  return {
    async take(signal) {
      signal.throwIfAborted();
      const name = free.shift();
      if (name !== undefined) return lend(name);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const stop = () => {
        const at = waiting.indexOf(resolve);
        if (at >= 0) waiting.splice(at, 1);
        reject(signal.reason);
      };
      waiting.push(resolve);
      signal.addEventListener('abort', stop, { once: true });
      try {
        return lend(await promise);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}
