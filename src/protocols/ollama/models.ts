import * as z from 'zod'

export interface OllamaDetails {
  readonly parent_model: string
  readonly format: string
  readonly family: string
  readonly families: readonly string[]
  readonly parameter_size: string
  readonly quantization_level: string
}

/** An entry of `GET /api/tags`. */
export interface OllamaModel {
  readonly name: string
  readonly model: string
  /** RFC 3339; the beginning of 1970 where no time was kept. */
  readonly modified_at: string
  readonly size: number
  readonly digest: string
  readonly details: OllamaDetails
}

/** An entry of `GET /api/ps`. */
export interface OllamaLoadedModel extends Omit<OllamaModel, 'modified_at'> {
  readonly expires_at: string
  readonly size_vram: number
}

/** `POST /api/show`; `name` is Ollama's older word for `model`. */
export const ollamaShowRequestSchema = z
  .strictObject({
    model: z.string().optional(),
    name: z.string().optional(),
    verbose: z.unknown().optional(),
    system: z.unknown().optional(),
    template: z.unknown().optional(),
    options: z.unknown().optional(),
  })
  .meta({ id: 'OllamaShowRequest' })

export interface OllamaShowAnswer {
  readonly license?: string
  readonly modelfile: string
  readonly parameters: string
  readonly template: string
  readonly details: OllamaDetails
  readonly model_info: Readonly<Record<string, string | number>>
  readonly capabilities: readonly ('completion' | 'embedding')[]
  readonly modified_at: string
}
