import type { TaskName } from '../../../catalog/manifest.ts'
import type { DetectionSettings } from '../../../catalog/settings/detection.ts'
import type { KeypointSettings } from '../../../catalog/settings/keypoints.ts'
import type { Description } from '../../pack/description.ts'
import type { Settings } from '../settings.ts'
import type { Recipe } from '../wishes.ts'

type Section<K extends 'preprocess' | 'postprocess'> = NonNullable<Description[K]>

/**
 * A well-known family of models: what `--preset` NAME says of a lone file, or of a repository whose files do not. The
 * describer of its task does the rest from the model's signature.
 */
export interface Family {
  readonly task: TaskName
  /** A line for the help. */
  readonly about: string
  /** Where the settings are published. */
  readonly source: string
  /** As a `config.json` would say it. One beside the model counts more, except for its `architectures`. */
  readonly config?: Settings
  /** As a `preprocessor_config.json` would say it, where there is none beside the model. */
  readonly processor?: Settings
  /** How pictures are prepared, where no processor of transformers says it so. Counts more than files beside the model. */
  readonly image?: Recipe
  readonly labels?: readonly string[]
  readonly activation?: NonNullable<Description['activation']>
  /** How a detector's outputs become boxes; the describer fits it to the shapes of the outputs. */
  readonly detection?: Partial<DetectionSettings>
  /** How a pose's outputs become points; likewise. */
  readonly keypoints?: Partial<KeypointSettings>
  /** Laid over what the describer finds, field by field of each section. Pictures belong into `image` or `processor`. */
  readonly preprocess?: { readonly [K in keyof Section<'preprocess'>]?: Partial<Section<'preprocess'>[K]> }
  readonly postprocess?: { readonly [K in keyof Section<'postprocess'>]?: Partial<Section<'postprocess'>[K]> }
}

export type Families = Readonly<Record<string, Family>>
