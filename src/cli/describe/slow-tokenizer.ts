import type { TextTokenizer } from '../../media/text/tokenizer.ts'

/** Runs of these make patterns backtrack, where they do. */
const PROBES = [' ', '\n', 'a', 'A', '1', '.', '\u0301']

/** Lengths of the runs, in small steps: what doubles with every character is seen before it takes minutes. */
const LENGTHS = [16, 18, 20, 22, 24, 26, 28, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384]

/** Microseconds of CPU: ten per character, five times the slowest known tokenizer, plus a constant. */
const allowed = (length: number): number => 50_000 + 10 * length

/**
 * The reason why a tokenizer's patterns are too slow: a caller could send text on which they backtrack, and a Worker
 * cannot interrupt a regular expression.
 * @param cpu CPU time of this process so far, in microseconds
 */
export function slowTokenizer(
  file: string,
  tokenizer: TextTokenizer,
  cpu: () => number = processTime,
): string | undefined {
  // Everything else is linear, whatever the file says.
  if (!file.includes('"Regex"')) return undefined
  for (const probe of PROBES) {
    for (const length of LENGTHS) {
      // What follows the run keeps a pattern from taking all of it at once.
      const text = `${probe.repeat(length)}\u00a7`
      const before = cpu()
      tokenizer.tokens(text)
      const taken = cpu() - before
      if (taken <= allowed(length)) continue
      return `a pattern in its tokenizer.json takes ${Math.round(taken / 1000)} ms for ${length} times ${JSON.stringify(probe)}; rewrite it without nested or overlapping repetitions`
    }
  }
  return undefined
}

function processTime(): number {
  const { system, user } = process.cpuUsage()
  return system + user
}
