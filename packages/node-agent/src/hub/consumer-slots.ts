/**
 * Numbers of the consumers this node has at the hub: a few fixed ones for each row (contracts, `consumerNames`), since those are what its
 * permissions name. A number is lent to one reading at a time; who finds none free waits. The registry ends the consumer a number had
 * before, so a number can be lent again at once.
 *
 * Promises:
 * L1. No number is lent to two at a time.
 * L2. Waiting ends with the signal.
 */
export interface ConsumerSlot {
  readonly number: number;
  release(): void;
}

export interface ConsumerSlots {
  /** @throws the signal's reason */
  take(signal: AbortSignal): Promise<ConsumerSlot>;
}

export function createConsumerSlots(count: number): ConsumerSlots {
  const free = Array.from({ length: count }, (_, number) => number);
  const waiting: ((number: number) => void)[] = [];
  const lend = (number: number): ConsumerSlot => ({
    number,
    release() {
      const next = waiting.shift();
      if (next) next(number);
      else free.unshift(number);
    },
  });
  return {
    async take(signal) {
      signal.throwIfAborted();
      const number = free.shift();
      if (number !== undefined) return lend(number);
      const { promise, resolve, reject } = Promise.withResolvers<number>();
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
