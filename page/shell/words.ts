import type { Place } from '../models.ts'
import type { PlaceChoice } from '../state/runner.ts'

/** What a model does, in a few words of everyday language. */
const TASKS: Readonly<Record<string, string>> = {
  'image-classification': 'says what a picture shows',
  'object-detection': 'finds objects in a picture',
  'image-feature-extraction': 'turns pictures into vectors',
  'keypoint-detection': 'finds points of persons or things in a picture',
  'image-to-image': 'makes a picture from a picture',
  'image-segmentation': 'says what each part of a picture is',
  'background-removal': 'cuts out what a picture shows',
  'depth-estimation': 'says how far away things in a picture are',
  'text-classification': 'labels a text',
  'token-classification': 'finds names in a text',
  'question-answering': 'answers a question from a text',
  'zero-shot-classification': 'sorts a text by labels of your own',
  'zero-shot-image-classification': 'sorts a picture by labels of your own',
  'image-text-similarity': 'compares pictures with texts',
  'zero-shot-audio-classification': 'sorts a sound by labels of your own',
  'fill-mask': 'finds the missing words of a text',
  'audio-classification': 'says what a sound is',
  'voice-activity-detection': 'finds speech in a sound',
  'feature-extraction': 'turns texts into vectors',
  'sentence-similarity': 'compares sentences by meaning',
  'text-ranking': 'sorts texts by a question',
  'bytes-classification': 'says what type a file is',
  'tabular-classification': 'labels the rows of a table',
  'tabular-regression': 'predicts a number for each row of a table',
  'text-generation': 'writes text',
}

export function taskWords(task: string | undefined): string {
  if (task === undefined) return 'takes and gives tensors'
  return TASKS[task] ?? task
}

const CHOICES: Readonly<Record<PlaceChoice, string>> = {
  auto: 'Automatic',
  edge: 'Edge',
  browser: 'This browser',
  origin: 'Origin',
}

export function placeChoice(place: PlaceChoice): string {
  return CHOICES[place]
}

const PLACES: Readonly<Record<Place, string>> = {
  edge: 'at the edge',
  browser: 'in this browser',
  origin: 'at an origin',
}

export function placeWords(places: readonly Place[]): string {
  const words = places.map((place) => PLACES[place])
  if (words.length === 0) return 'nowhere at the moment'
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((part) => part !== '').join(' or ')
}
