import type { Artifact, Manifest, Place } from '../catalog/manifest.ts'
import type { Clock } from '../core/runtime.ts'
import type { Tracer } from '../core/tracing.ts'
import type { Backlog } from './backlog.ts'
import { Generating } from './generating.ts'
import { countedTokens, notePlace, noteRun } from './ledger.ts'
import type { ModelSessions } from './model-sessions.ts'
import type { Generation, GenerationOptions, RunContext, ServingObserver } from './serving.ts'
import { type RunStatistics, versionName } from './statistics.ts'
import { TextSpan } from './text-span.ts'

export interface TextWriterOptions {
  readonly place: Place
  readonly sessions: Pick<ModelSessions, 'use'>
  readonly statistics: RunStatistics
  readonly backlog?: Backlog
  /** Most tokens of a prompt that one run reads. */
  readonly prefillTokens: number
  readonly clock: Clock
  readonly observer?: ServingObserver
  readonly tracer?: Tracer | undefined
}

/** A text that has been priced and paid for. */
export interface PricedText {
  readonly manifest: Manifest
  readonly artifact: Artifact
  readonly prompt: readonly number[]
  readonly options: GenerationOptions
  /** Units of all its runs. */
  readonly cost: number
}

/** Texts of language models, token by token: in turns with other work, noted, counted and traced. */
export class TextWriter {
  readonly #options: TextWriterOptions

  constructor(options: TextWriterOptions) {
    this.#options = options
  }

  /** Waits until the model is loaded, and not for the first token. @throws what loading throws */
  async begin(text: PricedText, context: RunContext): Promise<Generation> {
    const { artifact, cost, manifest, options, prompt } = text
    const { backlog, clock, observer, place, prefillTokens, sessions, statistics, tracer } = this.#options
    notePlace(context.ledger, place)
    backlog?.plan(context.signal, cost)
    let span: TextSpan | undefined
    const generating = new Generating({
      prompt,
      options: {
        ...options,
        prefillTokens,
        runsBefore: context.runsBefore,
        ...(tracer && { onTurn: () => span?.turned() }),
      },
      model: manifest.model,
      artifact,
      cost,
      onSpent: (cost) => backlog?.spend(context.signal, cost),
    })
    sessions
      .use(manifest, artifact, context, (session, use) => generating.with(session, use))
      .catch((error: unknown) => generating.fail(error))
    const { start } = await generating.begun
    noteRun(context.ledger, start)
    const untimed = { start, timings: { loadMs: 0, queueMs: 0, runMs: 0 } }
    statistics.succeeded(versionName(manifest), untimed, 1, clock.now())
    span = TextSpan.open(tracer, { format: artifact.format, prompt: prompt.length, signal: options.signal })
    const written = span?.around(generating) ?? generating
    const tokens = observer === undefined ? written : countedTokens(written, () => observer.token(manifest.model))
    return { tokens, artifact, place, start }
  }
}
