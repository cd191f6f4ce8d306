import { sizeInWords } from '../media/size-words.ts'
import type { ModelInfo } from '../models.ts'
import { placeWords, taskWords } from './words.ts'

/** What the model is, and the facts about it. */
export function ModelHead({ model }: { readonly model: ModelInfo }) {
  const { bytes, description, labels, licence, name, places, task, version, visibility } = model
  return (
    <header class="model-head">
      <h1 id="model-name" tabIndex={-1}>
        {name}
      </h1>
      <p class="model-head-task">{description ?? `This model ${taskWords(task)}.`}</p>
      <ul class="model-facts">
        <li>{task ?? 'no task'}</li>
        {bytes > 0 && <li>{sizeInWords(bytes)}</li>}
        <li>runs {placeWords(places)}</li>
        <li>version {version}</li>
        <li>{visibility}</li>
        {labels !== undefined && <li>{labels.length === 1 ? '1 label' : `${labels.length} labels`}</li>}
        {licence !== undefined && <li>{licence}</li>}
      </ul>
    </header>
  )
}
