import { VergeError } from '../core/errors.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Session, Support } from './engine.ts'
import { isHeldByOthers } from './heap-budget.ts'

/**
 * Several engines as one: an artifact goes to the first that supports it. An engine that no artifact has gone to is not
 * even started, not for its health either.
 */
export class EngineSet implements Engine {
  readonly name: string
  readonly #engines: readonly Engine[]
  readonly #started = new Set<Engine>()

  /** @param engines at least one, the preferred one first */
  constructor(engines: readonly Engine[]) {
    this.#engines = engines
    this.name = engines.map(({ name }) => name).join('+')
  }

  supports(artifact: ArtifactInfo): Support {
    const refusals: Extract<Support, { readonly ok: false }>[] = []
    for (const engine of this.#engines) {
      const support = engine.supports(artifact)
      if (support.ok) return support
      refusals.push(support)
    }
    // That an engine is made for other formats says less than why the one that is made for this format refuses.
    const [first] = refusals
    return refusals.find(({ code }) => code !== 'engine_unsupported') ?? first ?? NO_ENGINE
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<Session> {
    const engine = this.#engines.find((each) => each.supports(artifact).ok)
    if (engine === undefined) {
      const support = this.supports(artifact)
      const { code, reason } = support.ok ? NO_ENGINE : support
      throw new VergeError(code, `The model ${reason}.`)
    }
    try {
      const session = await engine.load(artifact, source, context)
      this.#started.add(engine)
      return session
    } catch (error) {
      // One that the others leave no memory has not started, and they are well.
      if (!isHeldByOthers(error)) this.#started.add(engine)
      throw error
    }
  }

  /** Of the engines that have started, or of the preferred one where none has: bytes together, any fault a fault. */
  async health(): Promise<EngineHealth> {
    const asked = this.#engines.filter((engine) => this.#started.has(engine))
    const reports = await Promise.all(
      (asked.length > 0 ? asked : this.#engines.slice(0, 1)).map((each) => each.health()),
    )
    const [first, ...others] = reports
    if (first === undefined) return { ok: false, engine: this.name, version: '', detail: 'there is no engine' }
    return others.reduce(together, first)
  }
}

const NO_ENGINE = { ok: false, code: 'engine_unsupported', reason: 'has a format that no engine here runs' } as const

function together(left: EngineHealth, right: EngineHealth): EngineHealth {
  const sum = (a: number | undefined, b: number | undefined): number => (a ?? 0) + (b ?? 0)
  return {
    ...left,
    ok: left.ok && right.ok,
    engine: `${left.engine}, ${right.engine}`,
    version: `${left.version}, ${right.version}`,
    heapBytes: sum(left.heapBytes, right.heapBytes),
    recoveries: sum(left.recoveries, right.recoveries),
    ...((left.detail ?? right.detail) ? { detail: [left.detail, right.detail].filter(Boolean).join('; ') } : {}),
  }
}
