import { createClient, VergeError } from 'verge/client'
import { element } from './elements.ts'

const verge = createClient({ url: import.meta.env.VITE_VERGE_URL ?? 'http://127.0.0.1:8787' })

const percent = (score: number): string => `${(100 * score).toFixed(1)} %`
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
    const [best] = await verge.classify('reviews', review.value, { signal })
    label.textContent = best === undefined ? '' : `${best.label}, ${percent(best.score)}`
  } catch (error) {
    if (!signal.aborted) label.textContent = messageOf(error)
  }
}
review.addEventListener('input', classify)
void classify()

// A file goes to the Worker as it is.
const digits = element('digits', HTMLOListElement)
element('picture', HTMLInputElement).addEventListener('change', async ({ currentTarget }) => {
  const file = (currentTarget as HTMLInputElement).files?.[0]
  if (file === undefined) return
  try {
    const labels = await verge.classify('digits', file, { parameters: { top_k: 3 } })
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
    for await (const { text } of verge.chat('abacus', question, { signal })) answer.append(text)
  } catch (error) {
    if (!signal.aborted) answer.textContent = messageOf(error)
  } finally {
    stop.disabled = true
  }
})
