import { create } from '@bufbuild/protobuf'
import { isVergeError } from '../../core/errors.ts'
import type { Tensor } from '../../core/tensors.ts'
import { decodeModel, encodeModel } from '../../onnx/codec.ts'
import { safeName } from '../../onnx/errors.ts'
import { GraphView } from '../../onnx/graph.ts'
import { copyModel, sorted } from '../../onnx/pass.ts'
import { type GraphProto, type ModelProto, ValueInfoProtoSchema } from '../../onnx/schema/onnx_pb.js'
import type { Sample } from '../../quantize/types.ts'
import { Comparison } from './compare.ts'
import { referenceSession } from './reference.ts'

/** How far a value inside the graph is off, and what its own node adds to that. */
export interface ValueError {
  readonly value: string
  readonly node: string
  readonly op: string
  /** Signal to noise against the original in decibels; infinite where nothing differs. */
  readonly sqnrDb: number
  /** Noise power added by this node, as a share of its signal: the excess over the worst of its inputs. */
  readonly added: number
}

export interface LocatedError {
  /** Every value that both graphs compute, in the original's order. */
  readonly values: readonly ValueError[]
  /** The first that is worse than the bound. */
  readonly first: ValueError | null
  /** The nodes that add most, worst first. */
  readonly worst: readonly ValueError[]
}

export interface LocateOptions {
  readonly original: Uint8Array
  readonly quantized: Uint8Array
  readonly samples: readonly Sample[]
  readonly signal: AbortSignal
  /** Decibels below which a value has gone wrong. */
  readonly boundDb?: number
  readonly progress?: (done: number, total: number) => void
}

/** A tenth of the signal: beyond what eight bits do to one layer, and before what makes an answer wrong. */
const BOUND_DB = 20
const WORST = 5
/** All values of a run are held until they are compared; this many samples tell where an error begins. */
const MOST_SAMPLES = 4
/** Values that are asked for in one run, so that the activations of a deep network are never all in memory. */
const VALUES_AT_ONCE = 64

/**
 * Finds where in a graph the error of its quantized form begins: the values that both graphs name alike become outputs of
 * both, onnxruntime-node runs them as written, and the noise is followed from node to node.
 * @throws VergeError model_invalid, run_rejected; OnnxError malformed
 */
export async function locateError(options: LocateOptions): Promise<LocatedError> {
  const { boundDb = BOUND_DB, progress, signal } = options
  const original = decodeModel(options.original)
  const quantized = decodeModel(options.quantized)
  const shared = sharedValues(original, quantized)
  const comparisons = new Map(shared.map(({ value }) => [value, new Comparison(value)]))
  const samples = options.samples.slice(0, MOST_SAMPLES)
  for (let start = 0; start < shared.length; start += VALUES_AT_ONCE) {
    const values = shared.slice(start, start + VALUES_AT_ONCE).map(({ value }) => value)
    const reference = await probe(original, values, signal)
    try {
      const actual = await probe(quantized, values, signal)
      try {
        for (const { inputs } of samples) {
          signal.throwIfAborted()
          const left = await reference.run(inputs)
          const right = await actual.run(inputs)
          for (const [value, tensor] of left) comparisons.get(value)?.add(tensor, right.get(value))
        }
      } finally {
        actual.dispose()
      }
    } finally {
      reference.dispose()
    }
    progress?.(Math.min(start + VALUES_AT_ONCE, shared.length), shared.length)
  }
  const noise = new Map<string, number>()
  const values = shared.flatMap(({ value, node, op, inputs }): ValueError[] => {
    const { elements, kind, relative } = comparisons.get(value)?.result() ?? {}
    if (kind !== 'float' || !elements || relative === null || relative === undefined) return []
    const share = relative ** 2
    const before = Math.max(0, ...inputs.map((input) => noise.get(input) ?? 0))
    noise.set(value, share)
    return [{ value, node, op, sqnrDb: -10 * Math.log10(share), added: Math.max(0, share - before) }]
  })
  return {
    values,
    first: values.find(({ sqnrDb }) => sqnrDb < boundDb) ?? null,
    worst: [...values]
      .filter(({ added }) => added > 0)
      .sort((left, right) => right.added - left.added)
      .slice(0, WORST),
  }
}

/** One sentence for a person. */
export function describeLocated({ first, worst }: LocatedError): string {
  const name = ({ node, op, value }: ValueError): string => `"${safeName(node || value)}" (${op})`
  if (worst.length === 0) return 'Every value inside the graph agrees; the conversion for the edge causes the error.'
  const most = worst.map((entry) => `${name(entry)} at ${entry.sqnrDb.toFixed(1)} dB`).join(', ')
  const begins = first ? `The error begins at ${name(first)}, at ${first.sqnrDb.toFixed(1)} dB. ` : ''
  return `${begins}The error grows most at ${most}.`
}

interface SharedValue {
  readonly value: string
  readonly node: string
  readonly op: string
  /** Values that its node reads. */
  readonly inputs: readonly string[]
}

function sharedValues(original: ModelProto, quantized: ModelProto): SharedValue[] {
  const { graph } = original
  if (graph === undefined || quantized.graph === undefined) return []
  const other = new GraphView(quantized, quantized.graph)
  return sorted(graph.node).flatMap((node) =>
    node.output
      .filter((value) => value !== '' && other.producer(value) !== undefined)
      .map((value) => ({ value, node: node.name, op: node.opType, inputs: node.input })),
  )
}

interface Probe {
  run(inputs: Sample['inputs']): Promise<ReadonlyMap<string, Tensor>>
  dispose(): void
}

/** Runs a model for some of its inner values: those of them that are tensors of floats. */
async function probe(model: ModelProto, values: readonly string[], signal: AbortSignal): Promise<Probe> {
  const session = await referenceSession(withOutputs(model, values), signal)
  const known = new Map(session.signature.outputs.map(({ datatype, name }) => [name, datatype]))
  const outputs = values.filter((value) => ['FP32', 'FP16', 'FP64'].includes(known.get(value) ?? ''))
  return {
    async run(inputs) {
      try {
        return await session.run(inputs, { outputs, signal })
      } catch (error) {
        if (isVergeError(error, 'unsupported_output')) return new Map()
        throw error
      }
    },
    dispose: () => session.dispose(),
  }
}

function withOutputs(model: ModelProto, values: readonly string[]): Uint8Array {
  const copy = copyModel(model)
  const graph = copy.graph as GraphProto
  const present = new Map(graph.output.map((output) => [output.name, output]))
  copy.graph = {
    ...graph,
    output: values.map((name) => present.get(name) ?? create(ValueInfoProtoSchema, { name })),
  }
  return encodeModel(copy)
}
