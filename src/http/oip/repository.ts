import type { ModelEntry } from '../../catalog/index/entry.ts'
import { parseJson } from '../../core/json.ts'
import type { Limits } from '../../core/limits.ts'
import { validate } from '../../core/validation.ts'
import { type RepositoryIndex, repositoryIndexRequestSchema } from '../../protocols/oip/wire.ts'

/** Triton's model repository extension, as far as it lists; `residence.ts` loads and unloads. */

/** An index request's body may be left out; what it can ask, `ready`, changes nothing. @throws invalid_json, invalid_request */
export function checkIndexRequest(body: Uint8Array, limits: Limits): void {
  if (body.length > 0) validate(repositoryIndexRequestSchema, parseJson(body, limits), 'The index request')
}

/** Every listed version that the caller may ask for by name, of every model given: all of these are ready. */
export function repositoryIndex(
  entries: readonly ModelEntry[],
  versionsOf: (entry: ModelEntry) => readonly string[],
): RepositoryIndex {
  return entries.flatMap((entry) =>
    [...versionsOf(entry)]
      .sort()
      .map((version) => ({ name: entry.model, version, state: 'READY' as const, reason: '' })),
  )
}
