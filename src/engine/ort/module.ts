/**
 * onnxruntime-web's Emscripten module, as much of it as the engine uses. The public `InferenceSession` API offers no
 * way to hand over a compiled module, which Workers demand, and copies the weights once more than needed, so the
 * engine drives the C functions that it is made of (onnxruntime `wasm/api.h`).
 *
 * Pointers are byte offsets into the heap; 0 is null. Functions that return an error code return 0 for success.
 */
export interface OrtModule {
  readonly HEAPU8: Uint8Array
  readonly PTR_SIZE: number
  stackSave(): number
  stackRestore(stack: number): void
  stackAlloc(bytes: number): number
  getValue(pointer: number, type: 'i32' | '*'): number
  setValue(pointer: number, value: number, type: 'i32' | '*'): void
  UTF8ToString(pointer: number, maxBytes?: number): string
  _malloc(bytes: number): number
  _free(pointer: number): void
  _OrtInit(threads: number, logLevel: number): number
  _OrtGetLastError(codePointer: number, messagePointer: number): number
  _OrtCreateSessionOptions(
    optimizationLevel: number,
    cpuMemoryArena: boolean,
    memoryPattern: boolean,
    executionMode: number,
    profiling: boolean,
    profilePrefix: number,
    logId: number,
    logSeverity: number,
    logVerbosity: number,
    optimizedModelPath: number,
  ): number
  _OrtAddSessionConfigEntry(options: number, key: number, value: number): number
  _OrtReleaseSessionOptions(options: number): number
  _OrtCreateSession(data: number, bytes: number, options: number): number
  _OrtReleaseSession(session: number): number
  _OrtGetInputOutputCount(session: number, inputs: number, outputs: number): number
  _OrtGetInputOutputMetadata(session: number, index: number, name: number, metadata: number): number
  _OrtFree(pointer: number): number
  _OrtCreateTensor(
    elementType: number,
    data: number,
    bytes: number,
    dimensions: number,
    rank: number,
    location: number,
  ): number
  _OrtGetTensorData(tensor: number, elementType: number, data: number, dimensions: number, rank: number): number
  _OrtReleaseTensor(tensor: number): number
  _OrtCreateRunOptions(logSeverity: number, logVerbosity: number, terminate: boolean, tag: number): number
  _OrtReleaseRunOptions(options: number): number
  _OrtRun(
    session: number,
    inputNames: number,
    inputs: number,
    inputCount: number,
    outputNames: number,
    outputCount: number,
    outputs: number,
    options: number,
  ): number
}

export interface ModuleArguments {
  readonly numThreads: 1
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ) => object
}

/** `onnxruntime-web/ort-wasm-simd-threaded.mjs` */
export type ModuleFactory = (moduleArguments: ModuleArguments) => Promise<OrtModule>

/**
 * ORT's highest log severity. Everything below it is also answered as an error code with a message, and the module
 * would print it straight to the console, past the operator's log.
 */
export const LOG_FATAL = 4

/** Pages that the module's memory import asks for at the least: 16 MiB. */
const INITIAL_PAGES = 256
const PAGE_BYTES = 65_536
/** What a memory has from the start. */
export const INITIAL_BYTES = INITIAL_PAGES * PAGE_BYTES

/**
 * The one linear memory an isolate gives the engine. `maxBytes` is a hard maximum that the runtime itself enforces.
 * @param onGrow told of every attempt to grow, and whether it succeeded: where ONNX Runtime does not survive a failed
 * allocation, nothing else says that memory was the reason
 * @param mayGrow asked before each, with the size it would have: other memories may share what there is
 */
export function createMemory(
  maxBytes: number,
  onGrow: (grown: boolean) => void = () => {},
  mayGrow: (bytes: number) => boolean = () => true,
): WebAssembly.Memory {
  const maximum = Math.max(INITIAL_PAGES, Math.floor(maxBytes / PAGE_BYTES))
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared: true })
  const grow = memory.grow.bind(memory)
  memory.grow = (pages) => {
    try {
      if (!mayGrow(memory.buffer.byteLength + pages * PAGE_BYTES)) throw new RangeError('other memories have the rest')
      const before = grow(pages)
      onGrow(true)
      return before
    } catch (error) {
      onGrow(false)
      throw error
    }
  }
  return memory
}

/**
 * Instantiates ONNX Runtime on `memory`, which is zeroed first: a shared-memory module initializes its data segments
 * only where its own "already initialized" flag in that memory is 0, so that a zeroed memory gives a clean start and
 * the same memory serves one instance after another.
 *
 * Two globals are replaced while the factory runs its synchronous part, which decides both, and are restored before
 * anything else can run: `process.type`, because the factory would take a Worker with `process` for Node; and
 * `WebAssembly.Memory`, because the factory makes its own memory, with a maximum of 4 GiB.
 */
export async function instantiate(
  factory: ModuleFactory,
  wasm: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<OrtModule> {
  new Uint8Array(memory.buffer).fill(0)
  const scope = globalThis as unknown as {
    process?: { type?: string | undefined }
    WebAssembly: { Memory: typeof WebAssembly.Memory | ((wanted: { readonly maximum?: number }) => WebAssembly.Memory) }
  }
  const { process } = scope
  const processType = process?.type
  const { Memory } = WebAssembly
  let made = 0
  let pending: Promise<OrtModule>
  try {
    if (process) process.type = 'renderer'
    scope.WebAssembly.Memory = function OneMemory(wanted: { readonly maximum?: number }): WebAssembly.Memory {
      // Browsers name SharedArrayBuffer only where a page is isolated: elsewhere it is asked of an empty memory.
      if (wanted.maximum === 0) return new Memory({ initial: 0, maximum: 0, shared: true })
      made++
      return memory
    }
    pending = factory({
      numThreads: 1,
      instantiateWasm(imports, done) {
        done(new WebAssembly.Instance(wasm, imports), wasm)
        return {}
      },
    })
  } finally {
    scope.WebAssembly.Memory = Memory
    if (process) {
      if (processType === undefined) delete process.type
      else process.type = processType
    }
  }
  const module = await pending
  if (made !== 1 || module.HEAPU8.buffer !== memory.buffer) {
    throw new Error('this release of onnxruntime-web does not accept a given memory')
  }
  return module
}
