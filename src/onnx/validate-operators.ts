import { nodeLabel, OnnxError, safeName } from './errors.ts'
import { domainOf, isKnownDomain, MAX_OPSET, operatorRemoved, operatorSince } from './opsets.ts'
import type { FunctionProto, NodeProto, OperatorSetIdProto } from './schema/onnx_pb.js'

/** What a model-local function is called by. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([domainOf(domain), name, overload])
}

export function functionsByKey(functions: readonly FunctionProto[]): Map<string, FunctionProto> {
  const byKey = new Map<string, FunctionProto>()
  for (const item of functions) {
    const key = functionKey(item.domain, item.name, item.overload)
    if (byKey.has(key)) {
      throw new OnnxError('invalid_graph', `Function "${safeName(item.name)}" is defined twice. Export it again.`, {
        node: item.name,
      })
    }
    byKey.set(key, item)
  }
  return byKey
}

/** The operators that a model, or a function with imports of its own, may use. */
export class Operators {
  readonly #versions = new Map<string, number>()
  readonly #functions: ReadonlyMap<string, FunctionProto>

  /** @throws OnnxError invalid_graph for versions that contradict each other, unsupported for versions too new */
  constructor(imports: readonly OperatorSetIdProto[], functions: ReadonlyMap<string, FunctionProto>) {
    this.#functions = functions
    for (const { domain: written, version } of imports) {
      const domain = domainOf(written)
      const known = this.#versions.get(domain)
      if (version < 1n || (known !== undefined && BigInt(known) !== version)) {
        throw new OnnxError(
          'invalid_graph',
          `The model imports version ${version} of ${named(domain)}${known === undefined ? '' : ` beside version ${known}`}. Export it again.`,
        )
      }
      const newest = Object.hasOwn(MAX_OPSET, domain) ? MAX_OPSET[domain] : undefined
      if (newest !== undefined && version > BigInt(newest)) {
        throw new OnnxError(
          'unsupported',
          `The model needs version ${version} of ${named(domain)}; ONNX Runtime reads ${newest}. Export it with opset ${newest} or older.`,
        )
      }
      this.#versions.set(domain, Number(version))
    }
  }

  /** @throws OnnxError unsupported for operators that do not exist in the versions imported; invalid_graph */
  check(node: NodeProto): void {
    const { opType } = node
    const domain = domainOf(node.domain)
    const fault = (code: 'unsupported' | 'invalid_graph', reason: string): OnnxError =>
      new OnnxError(code, `${nodeLabel(node)} ${reason}`, { node: node.name })
    if (opType === '') throw fault('invalid_graph', 'names no operator. Export the model again.')
    const own = this.#functions.has(functionKey(domain, opType, node.overload))
    // ONNX Runtime lets its own domain go without import, and older versions of it wrote such models.
    const version = this.#versions.get(domain) ?? (domain.startsWith('com.microsoft') ? 1 : undefined)
    if (version === undefined) {
      throw fault('invalid_graph', `is of ${named(domain)}, which the model does not import. Export it again.`)
    }
    if (own) return
    if (!isKnownDomain(domain)) {
      throw fault('unsupported', `is of ${named(domain)}, which ONNX Runtime lacks. Export with standard operators.`)
    }
    const since = operatorSince(domain, opType)
    if (since === undefined) {
      throw fault('unsupported', `has the unknown operator "${safeName(opType)}" in domain '${domain}'.`)
    }
    if (version < since) {
      throw fault(
        'unsupported',
        `needs opset ${since}, but the model imports ${version}. Export it with a newer opset.`,
      )
    }
    const removed = operatorRemoved(domain, opType)
    if (removed !== undefined && version >= removed.version) {
      throw fault(
        'unsupported',
        `is not in opset ${version}: version ${removed.version} replaced it by ${removed.instead}. Export the model again.`,
      )
    }
  }
}

function named(domain: string): string {
  return domain === '' ? "ONNX's own operators" : `the domain "${safeName(domain)}"`
}
