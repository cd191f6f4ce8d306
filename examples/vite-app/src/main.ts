import { type AnswerInfo, createBrowserClient, type Placement, VergeError } from 'verge/browser'
import { element } from './elements.ts'

const PLACES = { browser: 'in this browser', edge: 'at the edge', origin: 'at an origin' }

// The client of `verge/client`, whose models may also run in the visitor's browser.
const placement = element('placement', HTMLSelectElement)
const where = element('where', HTMLOutputElement)
let verge = client()

function client() {
  return createBrowserClient({
    url: import.meta.env.VITE_VERGE_URL ?? 'http://127.0.0.1:8787',
    placement: placement.value as Placement,
    onProgress: ({ model, loadedBytes, totalBytes }) => {
      where.textContent = `downloading ${model}: ${percent(loadedBytes / totalBytes)}`
    },
  })
}

const onAnswer = ({ model, place }: AnswerInfo): void => {
  where.textContent = place === undefined ? '' : `${model} answered ${PLACES[place]}`
}

placement.addEventListener('change', () => {
  verge.dispose()
  verge = client()
  void classify()
})

// A function, so that it is there for all that comes above it.
function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

const messageOf = (error: unknown): string => (error instanceof VergeError ? error.message : String(error))

// Each text that is written ends the call for the one before.
const review = element('review', HTMLTextAreaElement)
const label = element('label', HTMLOutputElement)
let typing = new AbortController()

async function classify(): Promise<void> {
  typing.abort()
  typing = new AbortController()
  const { signal } = typing
  label.textContent = ''
  if (review.value.trim() === '') return
  try {
    const [best] = await verge.classify('reviews', review.value, { signal, onAnswer })
    label.textContent = best === undefined ? '' : `${best.label}, ${percent(best.score)}`
  } catch (error) {
    if (!signal.aborted) label.textContent = messageOf(error)
  }
}
review.addEventListener('input', classify)
void classify()

// A file goes to the model as it is.
const digits = element('digits', HTMLOListElement)
element('picture', HTMLInputElement).addEventListener('change', async ({ currentTarget }) => {
  const file = (currentTarget as HTMLInputElement).files?.[0]
  if (file === undefined) return
  try {
    const labels = await verge.classify('digits', file, { parameters: { top_k: 3 }, onAnswer })
    digits.replaceChildren(...labels.map(({ label, score }) => item(`${label}: ${percent(score)}`)))
  } catch (error) {
    digits.replaceChildren(item(messageOf(error)))
  }
})

function item(text: string): HTMLLIElement {
  const made = document.createElement('li')
  made.textContent = text
  return made
}

// A text arrives part by part. Leaving the loop, or the signal, ends the model's work.
const answer = element('answer', HTMLOutputElement)
const stop = element('stop', HTMLButtonElement)
let writing: AbortController | undefined
stop.addEventListener('click', () => writing?.abort())

element('ask', HTMLFormElement).addEventListener('submit', async (event) => {
  event.preventDefault()
  writing?.abort()
  writing = new AbortController()
  const { signal } = writing
  answer.textContent = ''
  stop.disabled = false
  try {
    const question = element('question', HTMLInputElement).value
    for await (const { text } of verge.chat('abacus', question, { signal, onAnswer })) answer.append(text)
  } catch (error) {
    if (!signal.aborted) answer.textContent = messageOf(error)
  } finally {
    stop.disabled = true
  }
})
