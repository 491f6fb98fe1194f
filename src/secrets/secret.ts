import { inspect } from 'node:util';

/** A value that no log, error, template or JSON shows: only `reveal()` gives it. */
export type Secret = {
  readonly reveal: () => string;
  readonly toString: () => string;
  readonly toJSON: () => string;
};

const hidden = '[secret]';

/** Wraps a value so that printing it by accident prints `[secret]`. */
export function secret(value: string): Secret {
  const show = () => hidden;
  return Object.freeze({
    // A closure, not a property: console.log, spread and structuredClone find nothing.
    reveal: () => value,
    toString: show,
    toJSON: show,
    [inspect.custom]: show,
    [Symbol.toPrimitive]: show,
  });
}
