import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { parseSync, Visitor } from 'oxc-parser'
import { isAbove } from '../../scripts/checks/import-rules.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { memoryBindings } from './memory-bindings.ts'

/** What one warm request ran through. */
export interface RequestPath {
  readonly name: string
  /** Files of `src/` with a named function that ran, but for the entry, `assemble/` and `app.ts`. */
  readonly files: readonly string[]
  /** Named functions of these files. */
  readonly functions: number
  /** Pairs of rooms of which the lower called the higher, with the files: `lower -> higher (file -> file)`. */
  readonly returns: readonly string[]
}

interface Sample {
  readonly name: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
  /** What the answer has to hold, so that no refusal is measured. */
  readonly expected: string
}

interface Worker {
  readonly default: { fetch(request: Request, env: object, context: object): Promise<Response> }
}

const SECRET = 'the key of the origin of this measurement is long enough'
const isEntry = (file: string): boolean =>
  file === 'src/worker.ts' || file === 'src/app.ts' || file.startsWith('src/assemble/')

/** Loads the Worker into this process, once, and measures each of the requests. */
export async function measurePaths(): Promise<readonly RequestPath[]> {
  // V8 drops the bytecode of functions that rest, and may fail when it counts them afterwards.
  setFlagsFromString('--no-flush-bytecode')
  instrument()
  // Loaded after that: what the command line shares with the Worker is to be watched too.
  const { packFolder } = await import('../../src/cli/pack/packer.ts')
  const { publish } = await import('../../src/cli/push/publish.ts')
  const { localStores } = await import('../../src/cli/target/local.ts')
  const bindings = memoryBindings()
  const { writer } = localStores(bindings)
  for (const name of ['digits', 'reviews', 'abacus'])
    await publish(writer, await packFolder(join(ROOT, 'models', name)))
  const env = {
    ...bindings,
    ORIGIN_KEY: SECRET,
    ORIGIN: { fetch: answerAsOrigin },
    ORIGINS: JSON.stringify([
      { name: 'home', url: 'http://origin.invalid', binding: 'ORIGIN', auth: { type: 'hmac', key: 'ORIGIN_KEY' } },
    ]),
  }
  const worker = (await import(pathToFileURL(join(ROOT, 'src/worker.ts')).href)) as Worker
  const inspector = new Session()
  inspector.connect()
  await inspector.post('Profiler.enable')
  await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  const ask = async ({ path, headers, body, expected }: Sample): Promise<void> => {
    const context = { waitUntil: (work: Promise<unknown>) => void work, passThroughOnException() {} }
    const request = new Request(`http://verge.invalid${path}`, {
      method: 'POST',
      body,
      headers: { 'content-length': String(body.length), ...headers },
    })
    const answer = await worker.default.fetch(request, env, context)
    const text = await answer.text()
    if (!answer.ok || !text.includes(expected)) throw new Error(`${path}: ${answer.status} ${text.slice(0, 500)}`)
  }
  const paths: RequestPath[] = []
  for (const sample of await samples()) {
    await ask(sample)
    await inspector.post('Profiler.takePreciseCoverage')
    calls.clear()
    watching = true
    await ask(sample)
    watching = false
    const { result } = await inspector.post('Profiler.takePreciseCoverage')
    paths.push({ name: sample.name, ...ran(result), returns: returnsUpwards() })
  }
  return paths
}

async function samples(): Promise<readonly Sample[]> {
  const picture = new Uint8Array(await readFile(join(ROOT, 'models/digits/samples/seven.png')))
  const header = {
    inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 1, 28, 28], parameters: { binary_data_size: 4 * 28 * 28 } }],
    parameters: { binary_data_output: true },
  }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const tensors = new Uint8Array(json.length + 4 * 28 * 28)
  tensors.set(json)
  return [
    {
      name: 'POST /run/digits, a PNG',
      path: '/run/digits',
      headers: { 'content-type': 'image/png' },
      body: picture,
      expected: '"7"',
    },
    {
      name: 'POST /v2/models/digits/infer, binary tensors',
      path: '/v2/models/digits/infer',
      headers: {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(json.length),
      },
      body: tensors,
      expected: '"model_name":"digits"',
    },
    {
      name: 'POST /v1/chat/completions, streamed by an origin',
      path: '/v1/chat/completions',
      headers: { 'content-type': 'application/json', 'verge-place': 'origin' },
      body: new TextEncoder().encode(
        JSON.stringify({ model: 'abacus', stream: true, messages: [{ role: 'user', content: '1+1' }] }),
      ),
      expected: '[DONE]',
    },
  ]
}

/** An origin that streams one event and the end. */
async function answerAsOrigin(): Promise<Response> {
  const events = 'data: {"model":"abacus","choices":[{"index":0,"delta":{"content":"2"}}]}\n\ndata: [DONE]\n\n'
  return new Response(events, { headers: { 'content-type': 'text/event-stream' } })
}

interface ScriptCoverage {
  readonly url: string
  readonly functions: readonly {
    readonly functionName: string
    readonly ranges: readonly { readonly count: number }[]
  }[]
}

function ran(scripts: readonly ScriptCoverage[]): Pick<RequestPath, 'files' | 'functions'> {
  const files: string[] = []
  let all = 0
  for (const { url, functions } of scripts) {
    const file = fileOf(url)
    if (file === undefined || isEntry(file)) continue
    const named = functions.filter(({ functionName, ranges }) => functionName !== '' && (ranges[0]?.count ?? 0) > 0)
    if (named.length === 0) continue
    files.push(file)
    all += named.length
  }
  return { files: files.sort(), functions: all }
}

/** The path in the repository of a module of `src/`; undefined for everything else. */
function fileOf(url: string): string | undefined {
  const start = pathToFileURL(join(ROOT, 'src')).href
  if (!url.startsWith(`${start}/`)) return undefined
  return `src/${decodeURIComponent(url.slice(start.length + 1))}`
}

/** Calls between files of `src/`, as `caller\0callee`. */
const calls = new Set<string>()
let watching = false

function returnsUpwards(): string[] {
  const pairs = new Map<string, string[]>()
  for (const call of calls) {
    const [caller = '', callee = ''] = call.split('\0')
    if (!isAbove(folderOf(callee), folderOf(caller))) continue
    const pair = `${folderOf(caller)} -> ${folderOf(callee)}`
    pairs.set(pair, [...(pairs.get(pair) ?? []), `${caller} -> ${callee}`])
  }
  return [...pairs].map(([pair, files]) => `${pair} (${files.sort().join('; ')})`).sort()
}

/** `src/<folder>`: rooms within a room are one here. */
function folderOf(file: string): string {
  return file.split('/', 2).join('/')
}

/** Files whose calls count for whoever called them, and that nobody returns to. */
const isTransparent = (file: string): boolean => file.startsWith('src/core/') || isEntry(file)

/** Notes which file of `src/` has called the function that begins. */
function noteCall(callee: string): void {
  if (!watching || isTransparent(callee)) return
  const { prepareStackTrace, stackTraceLimit } = Error
  Error.stackTraceLimit = 60
  Error.prepareStackTrace = (_, sites) => sites
  const sites = new Error('for its stack').stack as unknown as NodeJS.CallSite[]
  Error.prepareStackTrace = prepareStackTrace
  Error.stackTraceLimit = stackTraceLimit
  // The first two are this function and the callee. Frames behind an `await` wait, and do not call.
  for (const site of sites.slice(2)) {
    if ((site as { isAsync?(): boolean }).isAsync?.() === true) return
    const url = site.getFileName()
    const caller = typeof url === 'string' ? fileOf(url) : undefined
    if (caller === undefined || isTransparent(caller)) continue
    if (caller !== callee) calls.add(`${caller}\0${callee}`)
    return
  }
}

/** From now on, each function of `src/` that is loaded says when it begins; what the platform has is stood in for. */
function instrument(): void {
  Object.assign(globalThis, { noteCallOfRequestPath: noteCall })
  Object.assign(crypto, { DigestStream })
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'cloudflare:workers') return { url: PLATFORM, shortCircuit: true }
      return next(specifier, context)
    },
    load(url, context, next) {
      if (url.endsWith('.wasm')) return { format: 'module', source: compiled(url), shortCircuit: true }
      const file = fileOf(url)
      const loaded = next(url, context)
      if (file === undefined || loaded.source === undefined || loaded.source === null) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
      return { ...loaded, source: withNotes(file, source) }
    },
  })
}

/** The platform's stream that digests what is written to it, as far as the Worker uses it. */
class DigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>

  constructor() {
    const hash = createHash('sha256')
    const digest = Promise.withResolvers<ArrayBuffer>()
    super({
      write: (piece) => void hash.update(piece),
      close: () => digest.resolve(new Uint8Array(hash.digest()).buffer),
    })
    this.digest = digest.promise
  }
}

/** What the entry extends. */
const PLATFORM =
  'data:text/javascript,export class WorkerEntrypoint {}%0Aexport class DurableObject {}%0Aexport const env = {}'

/** A module that compiles WebAssembly, as the bundler's import of it does. */
function compiled(url: string): string {
  const path = JSON.stringify(fileURLToPath(url))
  return `import { readFileSync } from 'node:fs'\nexport default new WebAssembly.Module(readFileSync(${path}))\n`
}

/** The same module, with a note at the beginning of each function. */
function withNotes(file: string, source: string): string {
  const { program } = parseSync(file, source)
  const note = `noteCallOfRequestPath(${JSON.stringify(file)})`
  const inserted: { readonly at: number; readonly text: string }[] = []
  const inBlock = (body: { readonly start: number } | null): void => {
    if (body !== null) inserted.push({ at: body.start + 1, text: `${note};` })
  }
  const observers = new Set<number>()
  new Visitor({
    Property: ({ key, value }) => {
      if (key.type === 'Identifier' && /^on[A-Z]/.test(key.name)) observers.add(value.start)
    },
    FunctionDeclaration: ({ body }) => inBlock(body),
    FunctionExpression: ({ body, start }) => {
      if (!observers.has(start)) inBlock(body)
    },
    ArrowFunctionExpression: ({ body, expression, start }) => {
      if (observers.has(start)) return
      if (!expression) return inBlock(body)
      inserted.push({ at: body.start, text: `(${note},` }, { at: body.end, text: ')' })
    },
  }).visit(program)
  let text = ''
  let from = 0
  // Of two notes at one place, an arrow that ends comes before one that begins.
  for (const { at, text: added } of inserted.sort((a, b) => a.at - b.at)) {
    text += source.slice(from, at) + added
    from = at
  }
  return text + source.slice(from)
}
