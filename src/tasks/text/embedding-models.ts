import type { Manifest } from '../../catalog/manifest.ts'

/** Tasks that make one vector of a text; a model of the one can do the other. */
const EMBEDDING_TASKS: readonly (string | undefined)[] = ['feature-extraction', 'sentence-similarity']

export function embedsTexts({ task }: Pick<Manifest, 'task'>): boolean {
  return EMBEDDING_TASKS.includes(task)
}
