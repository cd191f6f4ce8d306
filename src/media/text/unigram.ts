import type { TokenizerConfig } from './config.ts'
import { byteTokens, type Piece, type StepCounter, type WordModel } from './piece.ts'
import { splitsCharacter, Trie } from './trie.ts'
import type { Vocabulary } from './vocabulary.ts'

/** What is not known costs so much more than the rarest piece, as SentencePiece has it. */
const UNKNOWN_PENALTY = 10

/**
 * The most likely pieces by their scores (Viterbi). Kudo, "Subword Regularization", 2018. Each place takes as many steps
 * as the longest piece that begins there.
 */
export function unigram(config: TokenizerConfig, vocabulary: Vocabulary, counter: StepCounter): WordModel {
  const scores = scoresOf(config)
  const trie = new Trie()
  for (const [text, id] of vocabulary.entries) trie.add(text, id)
  const idOf = (text: string): number | undefined => vocabulary.idOf(text)
  const unknown = unknownOf(config, scores)
  const unknownScore =
    scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY
  const writesBytes = config.byte_fallback === true
  return (word) => {
    const best = new Float64Array(word.length + 1).fill(Number.NEGATIVE_INFINITY)
    const from = new Int32Array(word.length + 1)
    const token = new Int32Array(word.length + 1).fill(-1)
    best[0] = 0
    for (let start = 0; start < word.length; ) {
      const width = splitsCharacter(word, start + 1) ? 2 : 1
      const soFar = best[start] ?? 0
      let single = false
      for (let at = start, node = Trie.ROOT; at < word.length; ) {
        counter.steps++
        node = trie.step(node, word.charCodeAt(at++))
        if (node === -1) break
        const id = trie.valueAt(node)
        if (id === -1 || splitsCharacter(word, at)) continue
        const score = soFar + (scores[id] ?? 0)
        if (score > (best[at] ?? 0)) {
          best[at] = score
          from[at] = start
          token[at] = id
        }
        if (at === start + width) single = true
      }
      if (!single && soFar + unknownScore > (best[start + width] ?? 0)) {
        best[start + width] = soFar + unknownScore
        from[start + width] = start
        token[start + width] = -1
      }
      start += width
    }
    const cuts: number[] = []
    for (let end = word.length; end > 0; end = from[end] ?? 0) cuts.push(end)
    const pieces: Piece[] = []
    // What is unknown side by side is one token, or written in bytes.
    let unknownFrom = -1
    const flush = (to: number): void => {
      if (unknownFrom === -1) return
      const [start, end] = [unknownFrom, to]
      unknownFrom = -1
      const text = word.slice(start, end)
      const whole = idOf(text)
      const bytes = whole === undefined && writesBytes ? byteTokens(text, idOf) : undefined
      if (bytes === undefined) pieces.push({ id: whole ?? unknown, start, end })
      else for (const id of bytes) pieces.push({ id, start, end })
    }
    for (const end of cuts.reverse()) {
      const [id, start] = [token[end] ?? -1, from[end] ?? 0]
      if (id === -1 || id === unknown) {
        if (unknownFrom === -1) unknownFrom = start
        continue
      }
      flush(start)
      pieces.push({ id, start, end })
    }
    flush(word.length)
    return pieces
  }
}

function scoresOf({ vocab }: TokenizerConfig): number[] {
  if (!Array.isArray(vocab)) throw new Error('a Unigram model has no list of pieces')
  return vocab.map((entry: unknown) => {
    const score: unknown = Array.isArray(entry) ? entry[1] : undefined
    if (typeof score !== 'number') throw new Error('a Unigram model has a piece without a score')
    return score
  })
}

function unknownOf({ unk_id: id }: TokenizerConfig, scores: readonly number[]): number | undefined {
  // A file says null where there is none.
  if (id === undefined || id === null) return undefined
  if (!Number.isInteger(id) || scores[Number(id)] === undefined) throw new Error('unk_id is not in the vocabulary')
  return Number(id)
}
