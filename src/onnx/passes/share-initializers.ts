import { DataType, isExternal, rawBytesOf } from '../data.ts'
import type { GraphView } from '../graph.ts'
import type { Pass } from '../pass.ts'
import type { TensorProto } from '../schema/onnx_pb.js'

/** Keeps one of several equal constants, those of the graphs around included. */
export const shareInitializers: Pass = {
  name: 'share-initializers',
  *propose(view) {
    if (view.graph.initializer.length === 0) return
    const alike = new Map<string, TensorProto[]>()
    for (const tensor of candidates(view)) {
      const kind = `${tensor.dataType} ${tensor.dims}`
      const others = alike.get(kind)
      if (others) others.push(tensor)
      else alike.set(kind, [tensor])
    }
    for (const group of alike.values()) {
      // Nearly all weights are the only ones of their shape in small models: those are never hashed.
      if (group.length === 1 || !group.some(({ name }) => view.ownsConstant(name))) continue
      const kept = new Map<number, TensorProto[]>()
      for (const tensor of group) {
        const bytes = rawBytesOf(tensor)
        const digest = fnv(bytes)
        const others = kept.get(digest) ?? []
        const same = others.find((other) => equal(rawBytesOf(other), bytes))
        if (same === undefined) kept.set(digest, [...others, tensor])
        else if (view.ownsConstant(tensor.name) && !view.isOutput(tensor.name)) {
          yield {
            what: `use ${same.name} for ${tensor.name}`,
            removeInitializers: [tensor.name],
            redirect: new Map([[tensor.name, same.name]]),
          }
        }
      }
    }
  },
}

/** Constants that a graph sees, the outermost first. */
function candidates(view: GraphView): TensorProto[] {
  const own = view.graph.initializer.filter(
    (tensor) => view.ownsConstant(tensor.name) && tensor.dataType !== DataType.STRING && !isExternal(tensor),
  )
  return view.outer ? [...candidates(view.outer), ...own] : own
}

/** 32 bits of Fowler, Noll and Vo's hash (FNV-1a), taken over little-endian words wherever the bytes begin. */
function fnv(bytes: Uint8Array): number {
  const { buffer, byteOffset, length } = bytes
  const words = length >>> 2
  let hash = 0x811c9dc5
  if (byteOffset % 4 === 0) {
    const view = new Uint32Array(buffer, byteOffset, words)
    for (let index = 0; index < words; index++) hash = Math.imul(hash ^ (view[index] as number), 0x01000193)
  } else {
    const view = new DataView(buffer, byteOffset, length)
    for (let index = 0; index < words; index++) hash = Math.imul(hash ^ view.getUint32(index * 4, true), 0x01000193)
  }
  for (let index = words * 4; index < length; index++) hash = Math.imul(hash ^ (bytes[index] as number), 0x01000193)
  return hash
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false
  return true
}
