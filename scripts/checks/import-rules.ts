/**
 * Which way imports point in `src/`: downwards. A room is a folder, or a file at the top; a module belongs to the
 * longest room that its path begins with. Biome's own rule (`noRestrictedImports`) matches the text of an import and
 * not the file that it leads to, and cannot say this for relative paths.
 */
export interface Room {
  /** Rooms that its modules may import from, beside its own. */
  readonly rooms: readonly string[]
  /** Packages that they may import, with their subpaths; `node:*` stands for all of Node's own. */
  readonly packages: readonly string[]
}

export const ROOMS: Readonly<Record<string, Room>> = {
  'worker.ts': {
    rooms: [
      'app.ts',
      'client',
      'rpc',
      'config.ts',
      'logger.ts',
      'version.ts',
      'core',
      'access',
      'catalog',
      'weights',
      'engine',
      'engine/ort',
      'sessions',
      'serving',
      'stream',
      'media',
      'placement',
      'placement/remote',
    ],
    packages: ['cloudflare:workers'],
  },
  'app.ts': {
    rooms: ['http', 'tasks', 'media', 'serving', 'access', 'catalog', 'core', 'config.ts', 'version.ts'],
    packages: ['hono'],
  },
  'config.ts': { rooms: ['placement', 'core'], packages: ['zod'] },
  'logger.ts': { rooms: ['core'], packages: [] },
  'version.ts': { rooms: [], packages: [] },
  http: {
    rooms: [
      'stream',
      'placement',
      'generate',
      'tasks',
      'serving',
      'access',
      'catalog',
      'weights',
      'core',
      'version.ts',
    ],
    packages: ['hono', 'zod'],
  },
  // Sockets that stay open, and the Durable Object behind each.
  stream: {
    rooms: ['tasks', 'media', 'serving', 'access', 'catalog', 'core'],
    packages: ['cloudflare:workers'],
  },
  // For another Worker what http is for a client; it shares http's order, statuses and tensors.
  rpc: { rooms: ['client', 'http', 'placement', 'tasks', 'serving', 'access', 'catalog', 'core'], packages: ['zod'] },
  // Types for callers: nothing of ours, so that the file can be copied.
  client: { rooms: [], packages: [] },
  tasks: { rooms: ['generate', 'media', 'catalog', 'core'], packages: ['zod'] },
  // Texts token by token: sampling, stop strings, chat templates.
  generate: { rooms: ['media', 'catalog', 'core'], packages: ['@huggingface/jinja'] },
  media: { rooms: ['catalog', 'core'], packages: ['@huggingface/tokenizers'] },
  serving: { rooms: ['sessions', 'engine', 'weights', 'catalog', 'core'], packages: ['zod'] },
  // Decides and remembers; what talks to an origin lies one room deeper.
  placement: { rooms: ['serving', 'engine', 'catalog', 'core'], packages: ['zod'] },
  // Exchanges with origins: signatures, time limits, protocols.
  'placement/remote': { rooms: ['placement', 'serving', 'access', 'catalog', 'core'], packages: [] },
  sessions: { rooms: ['engine', 'core'], packages: [] },
  access: { rooms: ['catalog', 'core'], packages: [] },
  catalog: { rooms: ['weights', 'core'], packages: ['zod'] },
  // The loader is a byte source as engines take them.
  weights: { rooms: ['engine', 'core'], packages: [] },
  engine: { rooms: ['core'], packages: [] },
  'engine/ort': { rooms: ['engine', 'core'], packages: ['onnxruntime-web'] },
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
      'serving',
      'sessions',
      'engine',
      'engine/batching',
      'engine/native',
      'engine/process',
      'weights',
      'access',
      'catalog',
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
    packages: ['node:*', 'wrangler', 'zod'],
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
      'core',
    ],
    packages: ['node:*'],
  },
  // The `verge` command and what `npm start` does.
  cli: {
    rooms: [
      'cli/terminal',
      'cli/files',
      'cloudflare',
      'origin',
      'origin/command',
      'config.ts',
      'version.ts',
      'http',
      'placement',
      'placement/remote',
      'tasks',
      'generate',
      'media',
      'onnx',
      'onnx/schema',
      'quantize',
      'engine',
      'engine/native',
      'engine/ort',
      'weights',
      'catalog',
      'core',
    ],
    packages: ['node:*', '@bufbuild/protobuf', 'miniflare', 'onnxruntime-web', 'wrangler', 'zod'],
  },
  // What any command of this project prints and reads; what files it writes.
  'cli/terminal': { rooms: ['cli/files', 'onnx', 'core'], packages: ['node:*'] },
  'cli/files': { rooms: ['cli/terminal', 'core'], packages: ['node:*'] },
  quantize: { rooms: ['onnx', 'onnx/schema', 'engine', 'core'], packages: ['@bufbuild/protobuf'] },
  onnx: { rooms: ['onnx/schema', 'core'], packages: ['@bufbuild/protobuf'] },
  'onnx/schema': { rooms: [], packages: ['@bufbuild/protobuf'] },
  core: { rooms: [], packages: ['zod'] },
  types: { rooms: [], packages: [] },
}

/** The room of a module, by its path inside `src/`; undefined if the table has none for it. */
export function roomOf(path: string): string | undefined {
  return Object.keys(ROOMS)
    .filter((room) => path === room || path.startsWith(`${room}/`))
    .sort((left, right) => right.length - left.length)[0]
}

/**
 * What is wrong with a module's imports, a line each.
 * @param path of the module inside `src/`, with forward slashes
 */
export function violations(path: string, source: string): string[] {
  const room = roomOf(path)
  if (room === undefined) return [`src/${path}: its room is not in the table; add it to scripts/checks/import-rules.ts`]
  const { rooms, packages } = ROOMS[room] as Room
  const found: string[] = []
  for (const specifier of importsOf(source)) {
    if (!specifier.startsWith('.')) {
      if (!packages.some((name) => allows(name, specifier))) {
        found.push(`src/${path}: "${room}" may not import the package "${specifier}"`)
      }
      continue
    }
    const target = new URL(specifier, `file:///src/${path}`).pathname
    const inside = target.startsWith('/src/') ? target.slice('/src/'.length) : undefined
    const other = inside === undefined ? undefined : roomOf(inside)
    if (other === undefined) found.push(`src/${path}: imports "${specifier}", which is in no room of src/`)
    else if (other !== room && !rooms.includes(other)) {
      found.push(`src/${path}: "${room}" may not import from "${other}" ("${specifier}")`)
    }
  }
  return found
}

function allows(name: string, specifier: string): boolean {
  if (name.endsWith('*')) return specifier.startsWith(name.slice(0, -1))
  return specifier === name || specifier.startsWith(`${name}/`)
}

/** What a module imports, for types too: `from '...'`, `import '...'` and `import('...')`. */
function importsOf(source: string): string[] {
  const pattern = /(?:^|[\s;}])(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g
  return [...source.matchAll(pattern)].map((match) => match[2] as string)
}
