import type { TaskName } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { isSingleInput, withoutOptions } from '../../protocols/huggingface/task-body.ts'
import { comparesPictures } from '../../tasks/image-text-similarity.ts'
import { asksForSimilarity } from '../../tasks/sentence-similarity.ts'
import type { BoundTask, TaskBody, Tasks } from '../../tasks/task.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import type { Dialect } from '../task-request.ts'

/** @param asked the task that the path names, if it names one */
export function huggingFace(tasks: Tasks, asked: string | undefined): Dialect {
  return {
    choose(own, body) {
      return {
        task: taskFor(tasks, own, asked, body),
        body: body.kind === 'json' ? { kind: 'json', value: withoutOptions(body.value) } : body,
      }
    },
    answer(answer, task, body) {
      const single = body.kind === 'bytes' || isSingleInput(body.value)
      return single && wrapsSingles(task, answer) ? [answer] : answer
    },
  }
}

/** Tasks of Hugging Face's that come later, by the names that paths have. */
const LATER: ReadonlySet<string> = new Set([
  'automatic-speech-recognition',
  'document-question-answering',
  'image-to-text',
  'summarization',
  'table-question-answering',
  'text-to-audio',
  'text-to-image',
  'text-to-speech',
  'text2text-generation',
  'translation',
  'visual-question-answering',
  'zero-shot-object-detection',
])

/** @throws not_implemented */
export function refuseLater(asked: string | undefined): void {
  if (asked === undefined || !LATER.has(asked)) return
  throw new VergeError(
    'not_implemented',
    `The task ${asked} is not implemented yet. GET /models lists models and their tasks.`,
    {
      details: { task: asked },
    },
  )
}

/**
 * Models that embed texts serve both embedding tasks, as at Hugging Face. Where the path names none, the body says which:
 * a client that was given an address instead of a model's name cannot name one.
 */
function taskFor(tasks: Tasks, own: BoundTask, asked: string | undefined, body: TaskBody): BoundTask {
  if (embedsTexts({ task: own.name })) {
    const wanted = asked ?? (asksFor(body) ? 'sentence-similarity' : 'feature-extraction')
    if (embedsTexts({ task: wanted }))
      return wanted === 'feature-extraction' ? tasks[wanted] : tasks['sentence-similarity']
  }
  if (COMPARING.includes(own.name)) {
    const wanted = asked ?? comparing(own, body)
    const task = COMPARING.find((name) => name === wanted)
    if (task !== undefined) return tasks[task]
  }
  if (asked === undefined || asked === own.name) return own
  throw new VergeError('task_mismatch', `The task of this model is ${own.name}, not "${asked.slice(0, 64)}".`, {
    details: { task: own.name },
  })
}

/** Tasks that models of pictures and texts serve alike. */
const COMPARING: readonly TaskName[] = ['zero-shot-image-classification', 'image-text-similarity']

/** The one that a JSON body is for. */
function comparing(own: BoundTask, body: TaskBody): TaskName {
  if (body.kind !== 'json') return own.name
  return comparesPictures(body.value) ? 'image-text-similarity' : 'zero-shot-image-classification'
}

function asksFor(body: TaskBody): boolean {
  return body.kind === 'json' && asksForSimilarity(body.value)
}

/** Tasks whose answer for one text is a list of one, as transformers' pipelines have it. */
function wrapsSingles(task: BoundTask, answer: unknown): boolean {
  if (task.name === 'text-classification') return true
  // A matrix for one text: a vector for each of its tokens.
  return task.name === 'feature-extraction' && Array.isArray(answer) && Array.isArray(answer[0])
}
