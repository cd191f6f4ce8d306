import { sizeInWords } from '../media/size-words.ts'
import type { ModelCard } from '../models.ts'
import { hashOf } from '../state/address.ts'
import { placeWords, taskWords } from './words.ts'

interface Props {
  readonly models: readonly ModelCard[]
  readonly chosen: string | undefined
}

/** The models with what tells them apart. Each is a link, so that it can be opened in a tab of its own. */
export function ModelList({ chosen, models }: Props) {
  return (
    <ul class="models">
      {models.map((model) => (
        <li key={model.name}>
          <a class="model" href={hashOf(model.name)} {...(model.name === chosen && { 'aria-current': 'page' })}>
            <span class="model-name">{model.name}</span>
            <span class="model-task">{taskWords(model.task)}</span>
            <span class="model-description">{model.description}</span>
            <span class="model-facts">
              {model.bytes > 0 && <span>{sizeInWords(model.bytes)}</span>}
              <span>{placeWords(model.places)}</span>
              <span>version {model.version}</span>
              {model.visibility === 'private' && <span class="model-private">private</span>}
            </span>
          </a>
        </li>
      ))}
    </ul>
  )
}
