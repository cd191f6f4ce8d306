/** Names that browsers, systems and older programs give to media types, by the names that are registered. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['image/jpg', 'image/jpeg'],
  ['image/pjpeg', 'image/jpeg'],
  ['image/x-png', 'image/png'],
  ['audio/x-wav', 'audio/wav'],
  ['audio/x-pn-wav', 'audio/wav'],
  ['audio/wave', 'audio/wav'],
  ['audio/vnd.wave', 'audio/wav'],
  ['application/csv', 'text/csv'],
  ['application/x-csv', 'text/csv'],
  ['text/x-csv', 'text/csv'],
  ['text/comma-separated-values', 'text/csv'],
  ['text/tsv', 'text/tab-separated-values'],
])

/** A Content-Type header's media type, lower case, by its registered name; empty if there is none. */
export function mediaTypeOf(header: string | null | undefined): string {
  const type = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return ALIASES.get(type) ?? type
}

/** A Content-Type header's charset, as it is written. */
export function charsetOf(header: string | null | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([^\s";]{1,64})/i.exec(header ?? '')?.[1]
}
