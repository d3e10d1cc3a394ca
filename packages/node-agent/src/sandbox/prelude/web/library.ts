/**
 * Loads the libraries of the web platform when they are first used. While one loads, the platform's own globals look absent: a library
 * that asks whether the machine has, say, DOMException must not be given the very thing it is about to make.
 */

let loading = 0;

export const isLoading = (): boolean => loading > 0;

/** What `load` requires. */
export function library<T>(load: () => T): T {
  loading += 1;
  try {
    return load();
  } finally {
    loading -= 1;
  }
}
