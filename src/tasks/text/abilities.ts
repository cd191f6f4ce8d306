import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { embedsTexts } from './embedding-models.ts'

/** What protocols ask of models of texts, whatever they call it. */
const ABILITIES = {
  embed: { can: embedsTexts, cannot: 'does not make embeddings' },
  rank: {
    can: ({ task }: Pick<Manifest, 'task'>) => task === 'text-ranking' || embedsTexts({ task }),
    cannot: 'cannot rank texts, because its task is neither text-ranking nor embeddings',
  },
  classify: {
    can: ({ task }: Pick<Manifest, 'task'>) => task === 'text-classification' || task === 'text-ranking',
    cannot: 'does not classify texts',
  },
  'classify tokens': {
    can: ({ task }: Pick<Manifest, 'task'>) => task === 'token-classification',
    cannot: 'does not classify tokens',
  },
} as const
export type Ability = keyof typeof ABILITIES

/** @throws task_mismatch */
export function assertCan(manifest: Manifest, ability: Ability): void {
  const { can, cannot } = ABILITIES[ability]
  if (can(manifest)) return
  throw new VergeError(
    'task_mismatch',
    `Model "${manifest.model}" ${cannot}. GET /models shows the task of each model.`,
    { details: { field: 'model', ...(manifest.task !== undefined && { task: manifest.task }) } },
  )
}
