/**
 * An isolate with the prelude run in it, before it is known for whom: making one is most of what an opening costs, so a cell keeps one
 * ready. Nothing of any guest is in it; what a guest is told of itself comes when it is taken.
 */
import { setFlagsFromString } from 'node:v8';
import ivm from 'isolated-vm';
import type { Opening } from '../protocol.ts';
import type { Library, Part } from './library.ts';

/** What every isolate runs first. */
export interface Prelude extends Part {
  /** What an isolate loads when it first uses it. */
  readonly library: Library;
}

const PRELUDE_NAME = 'prelude.js';
/** isolated-vm takes no less, MB. */
const LEAST_MEMORY_MB = 8;
/** What a workload has that asks for nothing, MB. */
const USUAL_MEMORY_MB = 128;

export interface Vessel {
  readonly isolate: ivm.Isolate;
  readonly context: ivm.Context;
  /** The prelude's one door. */
  readonly boot: ivm.Reference<any>;
}

export const isolateFor = (memoryMb: number, inspector = false): ivm.Isolate =>
  new ivm.Isolate({ memoryLimit: Math.max(LEAST_MEMORY_MB, memoryMb), inspector });

/** Compiles a script of ours, from what the engine kept of it where this process has compiled it before. */
export function compile(isolate: ivm.Isolate, filename: string, of: Part): ivm.Script {
  const { source, compiled } = of;
  const cached = compiled === undefined ? { produceCachedData: true } : { cachedData: compiled };
  const script = isolate.compileScriptSync(source, { filename, ...cached });
  of.compiled ??= (script as { readonly cachedData?: ivm.ExternalCopy<ArrayBuffer> }).cachedData;
  return script;
}

/** Makes the context and runs the prelude. @throws whatever the isolate's limits cause */
export function furnish(isolate: ivm.Isolate, prelude: Prelude, inspector = false): Vessel {
  const context = isolate.createContextSync({ inspector });
  whole(() => compile(isolate, PRELUDE_NAME, prelude)).runSync(context);
  return { isolate, context, boot: context.global.getSync('cimBoot', { reference: true }) };
}

/**
 * Compiles every function there is, not each when it is first called: the engine keeps those of the prelude with its compiled form, and no
 * isolate compiles any of them again. What the engine kept under this flag it takes under this flag only.
 */
function whole<T>(compile: () => T): T {
  setFlagsFromString('--no-lazy');
  try {
    return compile();
  } finally {
    setFlagsFromString('--lazy');
  }
}

export interface Spare {
  /** The one kept ready, when it has the memory limit asked for; one of another size is given up. */
  take(opening: Opening): Vessel | undefined;
  /** Makes one ready. */
  keep(memoryMb?: number): void;
}

export function createSpare(prelude: Prelude): Spare {
  let ready: { readonly vessel: Vessel; readonly memoryMb: number } | undefined;
  const giveUp = () => {
    ready?.vessel.isolate.dispose();
    ready = undefined;
  };
  return {
    take({ memoryMb, inspect }) {
      if (ready?.memoryMb !== memoryMb || inspect === true) giveUp();
      const taken = ready?.vessel;
      ready = undefined;
      return taken;
    },
    keep(memoryMb = USUAL_MEMORY_MB) {
      if (ready?.memoryMb === memoryMb) return;
      giveUp();
      const isolate = isolateFor(memoryMb);
      try {
        ready = { vessel: furnish(isolate, prelude), memoryMb };
      } catch {
        // Too small even for the prelude: whoever asks for that is told when it loads.
        if (!isolate.isDisposed) isolate.dispose();
      }
    },
  };
}
