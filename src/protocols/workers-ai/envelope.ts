/** How Cloudflare's API wraps what it answers. */
export interface WorkersAiEnvelope {
  readonly result: unknown
  readonly success: true
  readonly errors: readonly never[]
  readonly messages: readonly never[]
}

export function wrapped(result: unknown): WorkersAiEnvelope {
  return { result, success: true, errors: [], messages: [] }
}

/** A model of `ai/models/search` and of `env.AI.models()`. */
export interface WorkersAiModel {
  readonly id: string
  readonly source: number
  readonly name: string
  readonly description: string
  readonly task: { readonly id: string; readonly name: string; readonly description: string }
  readonly tags: readonly string[]
  readonly properties: readonly { readonly property_id: string; readonly value: string }[]
}
