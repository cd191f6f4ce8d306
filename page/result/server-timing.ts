/** One entry of a `Server-Timing` header. */
export interface TimingEntry {
  readonly name: string
  /** Milliseconds; undefined where the entry only says that something happened. */
  readonly ms: number | undefined
  readonly description: string | undefined
}

/** More would be no header of Verge's, and no drawing to read. */
const MOST_ENTRIES = 32

/** `name;dur=1.5;desc="any text"`: the names of parameters in any case, texts quoted or not. */
const ENTRY = /\s*([!#$%&'*+.^_`|~\w-]+)((?:\s*;\s*[\w-]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s,;"]*))?)*)\s*(?:,|$)/y
const PARAMETER = /;\s*([\w-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?/g

/** Reads a `Server-Timing` header up to the first entry that is not one. */
export function parseServerTiming(header: string | undefined): TimingEntry[] {
  const entries: TimingEntry[] = []
  const pattern = new RegExp(ENTRY)
  while (header !== undefined && pattern.lastIndex < header.length && entries.length < MOST_ENTRIES) {
    const found = pattern.exec(header)
    if (found === null) break
    const [, name = '', parameters = ''] = found
    let ms: number | undefined
    let description: string | undefined
    for (const [, key = '', raw = ''] of parameters.matchAll(PARAMETER)) {
      const value = raw.startsWith('"') ? raw.slice(1, -1).replaceAll(/\\(.)/g, '$1') : raw
      if (key.toLowerCase() === 'dur' && ms === undefined) ms = duration(value)
      if (key.toLowerCase() === 'desc') description ??= value
    }
    entries.push({ name, ms, description })
  }
  return entries
}

function duration(text: string): number | undefined {
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(ms) ? ms : undefined
}
