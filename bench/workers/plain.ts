/**
 * ONNX in a Worker the plain way, which Verge is held against: the `.onnx` file read whole, ONNX Runtime's default
 * session options, a copy of the bytes for the runtime. It is driven as onnxruntime-web's `InferenceSession` drives it,
 * which itself cannot be used because Workers may not compile WebAssembly from bytes.
 */

import type { Tensors } from '../../src/core/tensors.ts'
import { workerBinary } from '../../src/engine/ort/binary.ts'
import { Allocations, lastError, readTensor, writeTensor } from '../../src/engine/ort/marshal.ts'
import { createMemory, instantiate, LOG_FATAL, type OrtModule } from '../../src/engine/ort/module.ts'
import { type NativeSignature, readSignature } from '../../src/engine/ort/signature.ts'
import { tensorsIn } from './tensors-in.ts'

interface PlainEnv {
  readonly BUCKET: { get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null> }
}

interface Loaded {
  readonly session: number
  readonly names: NativeSignature
}

/** What onnxruntime-web's own module asks for: it may grow to all that 32 bits can address. */
const MAX_HEAP_BYTES = 65_536 * 65_536
const OPTIMIZE_ALL = 99

let starting: Promise<OrtModule> | undefined
const sessions = new Map<string, Loaded>()

async function start(): Promise<OrtModule> {
  const module = await instantiate(workerBinary.factory, workerBinary.wasm, createMemory(MAX_HEAP_BYTES))
  if (module._OrtInit(1, LOG_FATAL) !== 0) throw new Error('ONNX Runtime could not be initialized')
  return module
}

async function load(module: OrtModule, env: PlainEnv, model: string): Promise<Loaded> {
  const object = await env.BUCKET.get(`plain/${model}`)
  if (!object) throw new Error(`no model ${model}`)
  const bytes = new Uint8Array(await object.arrayBuffer())
  const pointer = module._malloc(bytes.length)
  module.HEAPU8.set(bytes, pointer)
  const options = module._OrtCreateSessionOptions(OPTIMIZE_ALL, true, true, 0, false, 0, 0, LOG_FATAL, 0, 0)
  const session = module._OrtCreateSession(pointer, bytes.length, options)
  if (session === 0) throw new Error(lastError(module))
  module._OrtReleaseSessionOptions(options)
  module._free(pointer)
  return { session, names: readSignature(module, session) }
}

/** @returns all outputs' bytes, one after the other, and the milliseconds of the run with its tensors in and out */
function run(
  module: OrtModule,
  { session, names }: Loaded,
  tensors: Tensors,
): { readonly outputs: Blob; readonly milliseconds: number } {
  const begun = performance.now()
  const allocations = new Allocations(module)
  try {
    const width = module.PTR_SIZE
    const [inputs, inputNames] = [allocations.malloc(tensors.size * width), allocations.malloc(tensors.size * width)]
    let slot = 0
    for (const [name, tensor] of tensors) {
      const index = names.signature.inputs.findIndex((spec) => spec.name === name)
      module.setValue(inputNames + slot * width, names.inputNames[index] ?? 0, '*')
      module.setValue(inputs + slot * width, writeTensor(module, allocations, name, tensor), '*')
      slot++
    }
    const count = names.outputNames.length
    const [outputs, outputNames] = [allocations.malloc(count * width), allocations.malloc(count * width)]
    names.outputNames.forEach((name, slot) => {
      module.setValue(outputNames + slot * width, name, '*')
      module.setValue(outputs + slot * width, 0, '*')
    })
    const options = module._OrtCreateRunOptions(LOG_FATAL, 0, false, 0)
    allocations.onRelease(() => module._OrtReleaseRunOptions(options))
    if (module._OrtRun(session, inputNames, inputs, tensors.size, outputNames, count, outputs, options) !== 0) {
      throw new Error(lastError(module))
    }
    const values = names.outputNames.map((_, slot) => module.getValue(outputs + slot * width, '*'))
    for (const value of values) allocations.onRelease(() => module._OrtReleaseTensor(value))
    const data = values.map((value) => readTensor(module, '', value).data as Float32Array<ArrayBuffer>)
    return { outputs: new Blob(data), milliseconds: performance.now() - begun }
  } finally {
    allocations.release()
  }
}

export default {
  async fetch(request: Request, env: PlainEnv): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/') return new Response('ok')
    starting ??= start()
    const module = await starting
    if (pathname === '/start') return new Response('ok')
    if (pathname === '/heap') return Response.json({ heap_bytes: module.HEAPU8.buffer.byteLength })
    const model = searchParams.get('model') ?? ''
    const loaded = sessions.get(model) ?? (await load(module, env, model))
    sessions.set(model, loaded)
    if (pathname === '/load') return new Response('ok')
    const { outputs: answer, milliseconds } = run(module, loaded, await tensorsIn(request))
    return new Response(answer, { headers: { 'server-timing': `run;dur=${milliseconds}` } })
  },
}
