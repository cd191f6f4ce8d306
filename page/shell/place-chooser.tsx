import type { Place } from '../models.ts'
import type { PlaceChoice } from '../state/runner.ts'
import { Choice } from '../ui/index.ts'
import { placeChoice } from './words.ts'

interface Props {
  readonly places: readonly Place[]
  readonly value: PlaceChoice
  readonly onChange: (place: PlaceChoice) => void
}

/** Where to run, for a model that has more than one place. */
export function PlaceChooser({ onChange, places, value }: Props) {
  if (places.length < 2) return null
  const options = (['auto', ...places] as const).map((place) => ({ value: place, label: placeChoice(place) }))
  return <Choice label="Where to run" options={options} value={value} onChange={onChange} />
}
