import type { StreamedText } from '../panels/request.ts'
import type { TimingEntry } from './server-timing.ts'

/** A bar of the waterfall. */
export interface TimingStep {
  readonly name: string
  readonly label: string
  readonly explanation: string
  readonly ms: number
  /** Milliseconds from the left edge of the drawing to the bar's. */
  readonly startMs: number
}

export interface Waterfall {
  /** From asking to the whole answer, as the page measured it. */
  readonly totalMs: number
  readonly steps: readonly TimingStep[]
  /** What a reader has to know to not misread the bars. */
  readonly note: string | undefined
}

interface Meaning {
  readonly label: string
  readonly explanation: string
}

/** In the order in which they happen. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  load: {
    label: 'Load',
    explanation:
      'Reads the weights from storage, verifies them and prepares the engine. Later requests find the model in memory.',
  },
  queue: {
    label: 'Queue',
    explanation: 'Waits for earlier runs: one run at a time uses the engine.',
  },
  preprocess: {
    label: 'Input',
    explanation: 'Turns the text, picture or sound into the tensors that the model takes.',
  },
  cache: { label: 'Cache', explanation: 'Looks for a kept answer to equal inputs.' },
  run: { label: 'Run', explanation: 'The engine executes the model.' },
  postprocess: { label: 'Output', explanation: "Turns the model's tensors into the answer." },
}

const ORDER = Object.keys(MEANINGS)

/** Where the request was computed; the rest of its time is spent on other things there. */
export type WaterfallPlace = 'browser' | 'edge' | 'origin'

const REST: Readonly<Record<WaterfallPlace, Meaning>> = {
  edge: {
    label: 'Network and rest',
    explanation: 'The way to the Worker and back, reading the input, and everything that the Worker did not measure.',
  },
  origin: {
    label: 'Network and rest',
    explanation: 'The way to the Worker, from there to the origin, and back; reading the input; what was not measured.',
  },
  browser: {
    label: 'Rest',
    explanation: 'Reads the input, passes it to the worker thread and the answer back. No request leaves the browser.',
  },
}

const FIRST_PART: Meaning = {
  label: 'First part',
  explanation: 'The way to the Worker and back, reading the prompt, and computing the first token.',
}

const TEXT: Meaning = {
  label: 'Text',
  explanation: 'The tokens after the first one. Each is sent when it is computed, and shown when it arrives.',
}

/** Lays the parts of a request one after the other, and puts what none of them explains at the end. */
export function waterfall(entries: readonly TimingEntry[], totalMs: number, place: WaterfallPlace): Waterfall {
  const parts = entries
    .flatMap(({ description, ms, name }) => (ms === undefined ? [] : [{ name, ms, description }]))
    .filter(({ name }) => name !== 'total')
    .sort((left, right) => rank(left.name) - rank(right.name))
  const steps: TimingStep[] = []
  let startMs = 0
  for (const { description, ms, name } of parts) {
    const { label, explanation } = MEANINGS[name] ?? {
      label: description ?? name,
      explanation: 'A part that the Worker reports.',
    }
    steps.push({ name, label, explanation, ms, startMs })
    startMs += ms
  }
  const rest = totalMs - startMs
  if (rest > 0) steps.push({ name: 'rest', ...REST[place], ms: rest, startMs })
  // A load may begin while the body is still being read, and clocks of two machines are not one.
  return { totalMs: Math.max(totalMs, startMs), steps, note: noteOf(parts, rest, place) }
}

/** A text that arrived part by part: its times are the page's own. */
export function textWaterfall({ firstMs, tokens }: StreamedText, totalMs: number): Waterfall {
  const steps = [
    { name: 'first', ...FIRST_PART, ms: Math.min(firstMs, totalMs), startMs: 0 },
    { name: 'text', ...TEXT, ms: Math.max(0, totalMs - firstMs), startMs: firstMs },
  ]
  return { totalMs, steps, note: pace(tokens, totalMs - firstMs) }
}

/** How fast a text was written, from its first part on. */
function pace(tokens: number | undefined, ms: number): string | undefined {
  if (tokens === undefined) return undefined
  const count = `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`
  return tokens < 2 || ms <= 0
    ? `${count}.`
    : `${count}; ${Math.round((tokens - 1) / (ms / 1000))} a second after the first.`
}

function noteOf(parts: readonly { readonly name: string }[], rest: number, place: WaterfallPlace): string | undefined {
  if (rest < 0) return 'Some parts happened at the same time, so that together they are longer than the request.'
  if (place === 'edge' && !parts.some(({ name }) => name === 'run')) {
    return 'The Worker measured no run: the answer came from the cache, or the run was too short for its clock. On Cloudflare the clock stands still while a Worker computes.'
  }
  return undefined
}

/** Parts without a known place stand between the known ones and the rest. */
function rank(name: string): number {
  const index = ORDER.indexOf(name)
  return index < 0 ? ORDER.length : index
}

/** Milliseconds as people read them. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  if (ms >= 10) return `${Math.round(ms)} ms`
  return `${ms.toFixed(1)} ms`
}
