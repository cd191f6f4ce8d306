import type { z } from 'zod'
import type { Manifest, TaskName } from '../catalog/manifest.ts'
import type { Tensors } from '../core/tensors.ts'

/** A request body as a task gets it: parsed JSON, or raw bytes with their media type. */
export type TaskBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'bytes'; readonly mediaType: string; readonly bytes: Uint8Array }

/** What a task may ask for beside the request: the model's manifest and its files. */
export interface TaskModel {
  readonly manifest: Manifest
  /** One of the manifest's files, parsed by `parse` and kept as long as the isolate keeps the model. */
  file<T>(name: string, parse: (bytes: Uint8Array) => T): Promise<T>
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
  /** Checks a body and returns what was sent. @throws invalid_request, unsupported_media_type, empty_input */
  parse(body: TaskBody, manifest: Manifest): { readonly input: Input; readonly parameters: Parameters }
  /** @throws invalid_image, input_too_large, empty_input */
  toTensors(input: Input, parameters: Parameters, model: TaskModel): Promise<Tensors>
  fromTensors(outputs: Tensors, parameters: Parameters, manifest: Manifest): Output
}
