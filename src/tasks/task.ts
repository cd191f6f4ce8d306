import type * as z from 'zod'
import type { Manifest, Place, TaskName } from '../catalog/manifest.ts'
import type { ModelFile } from '../catalog/model-file.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { TensorSpec, Tensors } from '../core/tensors.ts'
import { finish, type Work, type WorkCost } from '../core/work.ts'
import type { LanguageModel } from '../generate/text-generator.ts'

/** A request body as a task gets it: parsed JSON, or raw bytes with their media type. */
export type TaskBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | {
      readonly kind: 'bytes'
      readonly mediaType: string
      readonly bytes: Uint8Array
      /** As the Content-Type declares it, where it does. */
      readonly charset?: string
      /** As in the JSON body's `parameters`; only a multipart request has them beside bytes. */
      readonly parameters?: unknown
    }

/** Runs the model. @param outputs the only ones that are needed; all if left out */
export type Run = (inputs: Tensors, outputs?: readonly string[]) => Promise<Tensors>

/** What a task may ask for beside the request: the model's manifest and its files. */
export interface TaskModel {
  readonly manifest: Manifest
  /** Where the network is run, by which artifact: at the edge if left out. */
  readonly place?: Place
  /** One of the manifest's files, parsed and kept as long as the isolate keeps the model. */
  file<T>(file: ModelFile<T>): Promise<T>
  /**
   * To be called by a task of several runs before the first of them, with the shapes of all their inputs: refuses what is
   * over the cost limit before anything has run. Absent where nothing is priced.
   * @throws cost_too_high
   */
  readonly checkCost?: (runs: readonly ReadonlyMap<string, { readonly shape: readonly number[] }>[]) => void
  /**
   * Does long work in pieces, one request's at a time, and lets the event loop turn between them. Absent where nobody
   * else waits: then it is done at once. Its cost says how soon it has its turn.
   * @throws overloaded, cancelled, deadline_exceeded, and errors of the work
   */
  readonly perform?: <T>(work: Work<T>, cost?: WorkCost) => Promise<T>
  /** For a task that writes texts token by token. Absent where that cannot be done. */
  readonly language?: { readonly model: LanguageModel; readonly signal: AbortSignal }
}

/** Everything that running a model for a request takes beside its inputs. */
export interface ModelCall {
  readonly model: TaskModel
  readonly limits: Limits
  readonly run: Run
}

/** Does long work as the model's `perform` does it. */
export async function performed<T>(
  { perform }: Pick<TaskModel, 'perform'>,
  work: Work<T>,
  cost?: WorkCost,
): Promise<T> {
  return perform === undefined ? finish(work) : perform(work, cost)
}

/** What the document says of a request to one model. */
export interface ModelRequest {
  readonly request: z.ZodType
  readonly example: unknown
}

export interface Parsed<Input, Parameters> {
  readonly input: Input
  readonly parameters: Parameters
}

/** Turns what a person sends into tensors, and tensors into what a person reads. */
export interface Task<Input, Parameters, Output> {
  readonly name: TaskName
  /** Media types of raw bodies that it takes, for the document and for 415 answers. */
  readonly mediaTypes: readonly string[]
  /** JSON body `{inputs, parameters}`; validates the request and generates the OpenAPI document. */
  readonly request: z.ZodType
  readonly response: z.ZodType<Output>
  /** An example request body that works, for the document. */
  readonly example: unknown
  /** The request and an example of one model, where they depend on its manifest; undefined where that is not right. */
  readonly forModel?: ((manifest: Manifest) => ModelRequest | undefined) | undefined
  /** Checks a body and returns what was sent. @throws invalid_request, unsupported_media_type, empty_input */
  parse(
    body: TaskBody,
    manifest: Manifest,
    model: TaskModel,
  ): Parsed<Input, Parameters> | Promise<Parsed<Input, Parameters>>
  /** @throws invalid_image, input_too_large, empty_input */
  toTensors(input: Input, parameters: Parameters, model: TaskModel): Promise<Tensors>
  fromTensors(outputs: Tensors, parameters: Parameters, manifest: Manifest): Output
}

/** An answer that is not JSON: a picture. */
export class RawAnswer {
  readonly mediaType: string
  readonly bytes: Uint8Array<ArrayBuffer>

  constructor(mediaType: string, bytes: Uint8Array<ArrayBuffer>) {
    this.mediaType = mediaType
    this.bytes = bytes
  }
}

/** A task whose input, parameters and output nobody outside needs to know. */
export interface BoundTask
  extends Pick<Task<unknown, unknown, unknown>, 'name' | 'mediaTypes' | 'request' | 'example' | 'forModel'> {
  readonly response: z.ZodType
  /** Files of a model that the task reads, so that reading them can begin before there is a body; none if left out. */
  readonly files?: (manifest: Manifest) => readonly ModelFile[]
  /**
   * From body to answer; `run` runs the model, and may be called more than once. A task that needs several runs, or looks
   * at its input again after them, implements this itself instead of `Task`.
   * @returns what is answered as JSON, or a `RawAnswer`
   */
  execute(body: TaskBody, model: TaskModel, run: Run): Promise<unknown>
}

export function bindTask<Input, Parameters, Output>(task: Task<Input, Parameters, Output>): BoundTask {
  const { name, mediaTypes, request, response, example, forModel } = task
  return {
    name,
    mediaTypes,
    request,
    response,
    example,
    forModel,
    async execute(body, model, run) {
      const { input, parameters } = await task.parse(body, model.manifest, model)
      const outputs = await run(await task.toTensors(input, parameters, model))
      return task.fromTensors(outputs, parameters, model.manifest)
    },
  }
}

/** Every task, by name. */
export type Tasks = Readonly<Record<TaskName, BoundTask>>

/** The task that a manifest names. A newer manifest may name one that this code does not know: then there is none. */
export function taskOf(tasks: Tasks, name: string | undefined): BoundTask | undefined {
  return name !== undefined && Object.hasOwn(tasks, name) ? tasks[name as TaskName] : undefined
}

/** An input of a model that its task cannot fill, or undefined for one that is missing. */
export function wrongInput(manifest: Manifest, spec: TensorSpec | undefined): VergeError {
  const what = spec === undefined ? 'lacks an input that' : `has an input "${spec.name}" that does not match what`
  return new VergeError(
    'manifest_invalid',
    `Model "${manifest.model}" version "${manifest.version}" ${what} its task needs. Push the model again without a task, or with the right task.`,
  )
}

/**
 * The task, with answers of finite numbers alone: JSON has no others, and would answer `null` in their place.
 * @throws run_rejected in `execute`, where a model's outputs are not finite
 */
export function withFiniteAnswers(task: BoundTask): BoundTask {
  return {
    ...task,
    async execute(body, model, run) {
      const answer = await task.execute(body, model, run)
      if (answer instanceof RawAnswer || hasFiniteNumbers(answer)) return answer
      throw notFinite()
    },
  }
}

/** An answer that JSON cannot hold. */
export function notFinite(): VergeError {
  return new VergeError(
    'run_rejected',
    "The model's answer to this input is not a finite number. Look for inputs far from those that the model was trained on.",
  )
}

/** Whether a value that becomes JSON holds finite numbers alone. */
export function hasFiniteNumbers(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return (Array.isArray(value) ? value : Object.values(value)).every(hasFiniteNumbers)
}
