import { AsyncLocalStorage } from 'node:async_hooks'
import type { ResolvedModel, ServingObserver } from '../serving/serving.ts'

/** Facts about a request that are collected while it runs. */
export interface RequestNotes {
  /** A name of the catalogue. */
  model?: string
}

export const requestNotes = new AsyncLocalStorage<RequestNotes>()

/** Which models requests ask for: for metrics and logs, which want the names of models and not of digests. */
export class ModelNotes implements ServingObserver {
  readonly token: (model: string) => void
  /** Bounded by the versions that have been asked for and exist. */
  readonly #models = new Map<string, string>()

  /** @param onToken called for each token of a text, with its model */
  constructor(onToken: (model: string) => void) {
    this.token = onToken
  }

  /** The model that an artifact belongs to. */
  modelOf(sha256: string): string {
    return this.#models.get(sha256) ?? 'unknown'
  }

  resolved({ manifest: { artifacts, model } }: ResolvedModel): void {
    for (const { sha256 } of artifacts) this.#models.set(sha256, model)
    const notes = requestNotes.getStore()
    if (notes !== undefined) notes.model = model
  }
}
