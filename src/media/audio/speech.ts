/**
 * Speech segments from probabilities, one a window: the rules of silero-vad's `get_speech_timestamps`
 * (github.com/snakers4/silero-vad, src/silero_vad/utils_vad.py) without its limit on the length of a segment. Speech
 * begins with a window of at least `threshold`; it ends where the probability fell below `negThreshold` and did not come
 * back to `threshold` for `minSilence`; what is no longer than `minSpeech` is dropped; the rest is padded on both sides.
 */

/** Lengths are in samples, and need not be whole. */
export interface SpeechRules {
  readonly threshold: number
  readonly negThreshold: number
  readonly minSpeech: number
  readonly minSilence: number
  readonly pad: number
}

/** A stretch of speech, from one sample up to another, with the mean probability of its windows. */
export interface SpeechSpan {
  readonly start: number
  readonly end: number
  readonly score: number
}

interface Tally {
  readonly sum: number
  readonly count: number
}

/** What is known after some windows: plain data, so that it can be kept and gone on with. */
export interface SpeechState {
  /** Windows heard. */
  readonly windows: number
  /** Where the speech that is on began, with its windows' probabilities. */
  readonly speech?: { readonly start: number; readonly tally: Tally } | undefined
  /** Where it may have ended, with the probabilities up to there. */
  readonly silence?: { readonly start: number; readonly tally: Tally } | undefined
}

export const NO_SPEECH: SpeechState = { windows: 0 }

/** Takes the next window's probability. `closed` is a segment that ended, not padded yet. */
export function addWindow(
  state: SpeechState,
  probability: number,
  windowLength: number,
  rules: SpeechRules,
): { readonly state: SpeechState; readonly closed?: SpeechSpan } {
  const at = state.windows * windowLength
  const windows = state.windows + 1
  const { speech } = state
  if (speech === undefined) {
    if (probability < rules.threshold) return { state: { windows } }
    return { state: { windows, speech: { start: at, tally: { sum: probability, count: 1 } } } }
  }
  const tally = { sum: speech.tally.sum + probability, count: speech.tally.count + 1 }
  const going = { start: speech.start, tally }
  if (probability >= rules.threshold) return { state: { windows, speech: going } }
  // Between the two thresholds nothing is decided, and a silence that has begun goes on.
  if (probability >= rules.negThreshold) return { state: { windows, speech: going, silence: state.silence } }
  const silence = state.silence ?? { start: at, tally: speech.tally }
  if (at - silence.start < rules.minSilence) return { state: { windows, speech: going, silence } }
  const closed = spanOf(speech.start, silence.start, silence.tally)
  return closed.end - closed.start > rules.minSpeech ? { state: { windows }, closed } : { state: { windows } }
}

/** The segment that the end of the sound closes, if there is one. */
export function endSpeech(state: SpeechState, samples: number, rules: SpeechRules): SpeechSpan | undefined {
  const { speech } = state
  if (speech === undefined || samples - speech.start <= rules.minSpeech) return undefined
  return spanOf(speech.start, samples, speech.tally)
}

/** All segments of a sound, padded: where two would meet, each takes half of the silence between them. */
export function speechSpans(
  probabilities: readonly number[],
  windowLength: number,
  samples: number,
  rules: SpeechRules,
): SpeechSpan[] {
  const spans: SpeechSpan[] = []
  let state = NO_SPEECH
  for (const probability of probabilities) {
    const step = addWindow(state, probability, windowLength, rules)
    state = step.state
    if (step.closed !== undefined) spans.push(step.closed)
  }
  const last = endSpeech(state, samples, rules)
  if (last !== undefined) spans.push(last)
  return spans.map((span, i) => ({
    ...span,
    start: Math.trunc(Math.max(0, span.start - padding(spans[i - 1], span, rules.pad))),
    end: Math.trunc(Math.min(samples, span.end + padding(span, spans[i + 1], rules.pad))),
  }))
}

/** Samples by which two neighbours each grow into the silence between them. */
function padding(before: SpeechSpan | undefined, after: SpeechSpan | undefined, pad: number): number {
  if (before === undefined || after === undefined) return pad
  const silence = after.start - before.end
  return silence < 2 * pad ? Math.floor(silence / 2) : pad
}

function spanOf(start: number, end: number, { sum, count }: Tally): SpeechSpan {
  return { start, end, score: sum / count }
}
