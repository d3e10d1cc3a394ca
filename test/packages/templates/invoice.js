/** Precompiled by handlebars from: Dear {{customer}}:{{#each lines}} {{text}} {{money price}};{{/each}} */
export default {
  0: (container, depth0, helpers, partials, data) => {
    var helper,
      alias1 = depth0 != null ? depth0 : container.nullContext || {},
      alias2 = container.hooks.helperMissing,
      alias3 = container.escapeExpression,
      lookupProperty =
        container.lookupProperty ||
        ((parent, propertyName) => {
          if (Object.hasOwn(parent, propertyName)) {
            return parent[propertyName];
          }
          return undefined;
        });

    return (
      ' ' +
      alias3(
        ((helper =
          (helper = lookupProperty(helpers, 'text') || (depth0 != null ? lookupProperty(depth0, 'text') : depth0)) != null
            ? helper
            : alias2),
        typeof helper === 'function'
          ? helper.call(alias1, {
              name: 'text',
              hash: {},
              data: data,
              loc: { start: { line: 1, column: 34 }, end: { line: 1, column: 42 } },
            })
          : helper),
      ) +
      ' ' +
      alias3(
        (lookupProperty(helpers, 'money') || (depth0 && lookupProperty(depth0, 'money')) || alias2).call(
          alias1,
          depth0 != null ? lookupProperty(depth0, 'price') : depth0,
          { name: 'money', hash: {}, data: data, loc: { start: { line: 1, column: 43 }, end: { line: 1, column: 58 } } },
        ),
      ) +
      ';'
    );
  },
  compiler: [8, '>= 4.3.0'],
  main: (container, depth0, helpers, partials, data) => {
    var stack1,
      helper,
      alias1 = depth0 != null ? depth0 : container.nullContext || {},
      lookupProperty =
        container.lookupProperty ||
        ((parent, propertyName) => {
          if (Object.hasOwn(parent, propertyName)) {
            return parent[propertyName];
          }
          return undefined;
        });

    return (
      'Dear ' +
      container.escapeExpression(
        ((helper =
          (helper = lookupProperty(helpers, 'customer') || (depth0 != null ? lookupProperty(depth0, 'customer') : depth0)) !=
          null
            ? helper
            : container.hooks.helperMissing),
        typeof helper === 'function'
          ? helper.call(alias1, {
              name: 'customer',
              hash: {},
              data: data,
              loc: { start: { line: 1, column: 5 }, end: { line: 1, column: 17 } },
            })
          : helper),
      ) +
      ':' +
      ((stack1 = lookupProperty(helpers, 'each').call(alias1, depth0 != null ? lookupProperty(depth0, 'lines') : depth0, {
        name: 'each',
        hash: {},
        fn: container.program(0, data, 0),
        inverse: container.noop,
        data: data,
        loc: { start: { line: 1, column: 18 }, end: { line: 1, column: 68 } },
      })) != null
        ? stack1
        : '')
    );
  },
  useData: true,
};
