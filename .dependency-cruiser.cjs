const rooms = 'crypto|aggregation|coordinator|client-sdk|simulations|cli';
const error = (rule) => ({ severity: 'error', ...rule });

/** The one-way arrow of ARCHITECTURE.md: crypto <- aggregation <- { coordinator, client-sdk } <- simulations <- cli. */
module.exports = {
  forbidden: [
    error({ name: 'no-circular', from: {}, to: { circular: true } }),
    error({
      name: 'crypto-stands-alone',
      from: { path: '^crypto/' },
      to: { path: '^(aggregation|coordinator|client-sdk|simulations|cli)/' },
    }),
    error({
      name: 'aggregation-sees-crypto',
      from: { path: '^aggregation/' },
      to: { path: '^(coordinator|client-sdk|simulations|cli)/' },
    }),
    error({
      name: 'coordinator-knows-no-client',
      from: { path: '^coordinator/' },
      to: { path: '^(client-sdk|simulations|cli)/' },
    }),
    error({
      name: 'client-knows-no-coordinator',
      from: { path: '^client-sdk/' },
      to: { path: '^(coordinator|simulations|cli)/' },
    }),
    error({ name: 'simulations-before-cli', from: { path: '^simulations/' }, to: { path: '^cli/' } }),
    error({
      name: 'pure-core',
      comment: 'crypto, aggregation and the domain do no I/O: of Node they may use node:crypto alone',
      from: { path: '^(crypto|aggregation)/src|^coordinator/src/domain' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    }),
    error({
      name: 'domain-is-innermost',
      from: { path: '^coordinator/src/domain' },
      to: { path: '^coordinator/src/(app|adapters|main|ports)' },
    }),
    error({
      name: 'app-knows-no-adapter',
      from: { path: '^coordinator/src/app' },
      to: { path: '^coordinator/src/adapters' },
    }),
    error({
      name: 'one-door',
      comment: 'another room is entered by its index.ts (or testing/index.ts)',
      from: { path: `^(${rooms})/` },
      to: {
        path: `^(${rooms})/(src|testing)/`,
        pathNot: ['^$1/', '^[^/]+/(src|testing)/index\\.ts$', '^cli/src/main\\.ts$'],
      },
    }),
    error({ name: 'no-test-code-in-source', from: { path: '/src/' }, to: { path: '/(test|testing)/' } }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|assembly)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
};
