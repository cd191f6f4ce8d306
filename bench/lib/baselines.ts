import { env, InferenceSession as WebSession, Tensor as WebTensor } from 'onnxruntime-web'
import { loadArtifact, vergeHere } from '../../src/cli/engine/verge-here.ts'
import { InferenceSession as NativeSession, Tensor as NativeTensor } from '../../src/engine/native/runtime.ts'
import { type Input, tensorsOf } from './oip.ts'

/** Something that runs one model, as often as wanted. */
export interface Runner {
  run(inputs: readonly Input[]): Promise<void>
  stop(): Promise<void>
}

const TYPES = { FP32: 'float32', INT64: 'int64' } as const

/** onnxruntime-web as its package exports it for Node, with one thread and its default options. */
export async function webRunner(onnx: Uint8Array): Promise<Runner> {
  env.wasm.numThreads = 1
  const session = await WebSession.create(onnx)
  return {
    async run(inputs) {
      await session.run(
        Object.fromEntries(
          inputs.map(({ name, datatype, shape, data }) => [name, new WebTensor(TYPES[datatype], data, shape)]),
        ),
      )
    },
    stop: () => session.release(),
  }
}

/** onnxruntime-node on the processor, with one thread. */
export async function nativeRunner(onnx: Uint8Array): Promise<Runner> {
  const session = await NativeSession.create(onnx, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  return {
    async run(inputs) {
      await session.run(nativeTensors(inputs))
    },
    stop: () => session.release(),
  }
}

function nativeTensors(inputs: readonly Input[]) {
  return Object.fromEntries(
    inputs.map(({ name, datatype, shape, data }) => [name, new NativeTensor(TYPES[datatype], data, shape)]),
  )
}

/** The first output of onnxruntime-node, to compare others with. */
export async function nativeOutput(onnx: Uint8Array, inputs: readonly Input[]): Promise<Float32Array> {
  const session = await NativeSession.create(onnx, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  try {
    const outputs = await session.run(nativeTensors(inputs))
    return Float32Array.from(outputs[session.outputNames[0] ?? '']?.data as Float32Array)
  } finally {
    await session.release()
  }
}

/** Verge's own engine in Node, which lets the processor's page tables guard WebAssembly's memory. */
export async function ownRunner(artifact: Uint8Array): Promise<Runner> {
  const { signal } = new AbortController()
  const session = await loadArtifact(await vergeHere(), { bytes: artifact }, signal)
  return {
    async run(inputs) {
      await session.run(tensorsOf(inputs), { signal })
    },
    async stop() {
      session.dispose()
    },
  }
}
