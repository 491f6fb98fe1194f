import { Eta } from 'eta/core';

const eta = new Eta({ autoTrim: false, autoEscape: false, cache: false });

/**
 * A template's text with its holes filled: `<%= it.key %>` is a value as it is (these are configuration files, not HTML),
 * `<% … -%>` is code and takes its line's end with it.
 * @throws Error when the template asks for what the view doesn't have: Eta alone would write `undefined`
 */
export function renderTemplate(text: string, view: object): string {
  return eta.renderString(text, complete(view, 'it'));
}

function complete(view: object, name: string): object {
  return new Proxy(view, {
    get(target, key): unknown {
      const value: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol') return value;
      if (value === undefined || value === null)
        throw new Error(`The template asks for ${name}.${key}, which isn't there.`);
      return typeof value === 'object' && !Array.isArray(value) ? complete(value, `${name}.${key}`) : value;
    },
  });
}
