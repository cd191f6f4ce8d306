import type { Context } from 'hono'
import type { Manifest } from '../catalog/manifest.ts'
import { ModelRunner } from '../inference/model-runner.ts'
import type { ForwardRoute } from '../placement/placement.ts'
import { hasFiniteNumbers, type ModelCall, notFinite } from '../tasks/task.ts'
import { TextReader } from '../tasks/text/reading.ts'
import type { AppDeps, AppEnv } from './app-env.ts'
import { withPlacementHeaders } from './inference.ts'
import { askedName, withModelInBody } from './model-in-body.ts'

/** A request about texts to a model that has been found and admitted. */
export interface TextCall extends ModelCall {
  readonly manifest: Manifest
  /** The model's name as the request has it. */
  readonly asked: string
  readonly requestId: string
  /** Seconds since 1970. */
  readonly created: number
  /** To be called once the request has been accepted, before its texts are read: begins to load what they need. */
  accepted(): void
}

export interface TextCallOptions {
  /** Where the path names it, and not the body. */
  readonly model?: string
  /** Left out: `own`. */
  readonly route?: ForwardRoute
}

/** From the parsed body of a request to what is answered as JSON. */
export type TextWork = (call: TextCall, body: unknown) => Promise<unknown>

/**
 * Answers a request whose JSON body has texts, as every protocol of embeddings, ranks, labels and tokens does. Where
 * the body names no model, the configuration may.
 */
export function answerTexts(
  deps: AppDeps,
  c: Context<AppEnv>,
  work: TextWork,
  { model, route = 'own' }: TextCallOptions = {},
): Promise<Response> {
  return withModelInBody(
    deps,
    c,
    route,
    async (admitted, body) => {
      const { manifest } = admitted.model
      const runner = new ModelRunner(deps, admitted, c.get('context'))
      const call: TextCall = {
        model: runner.model,
        run: runner.run,
        limits: deps.limits,
        manifest,
        asked: model ?? (askedName(body) || (deps.config.defaultModel ?? manifest.model)),
        requestId: c.get('requestId'),
        created: Math.floor(deps.clock.now() / 1000),
        accepted: () => runner.prefetch(TextReader.files(manifest)),
      }
      const answer = await work(call, model === undefined ? body : withoutModel(body))
      if (!hasFiniteNumbers(answer)) throw notFinite()
      return withPlacementHeaders(c.json(answer), runner)
    },
    model === undefined ? { unnamed: deps.config.defaultModel } : { named: { model } },
  )
}

/** The body as it came: the path's model stands in it for origins. */
function withoutModel(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const { model: _, ...rest } = body as Readonly<Record<string, unknown>>
  return rest
}
