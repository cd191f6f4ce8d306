/** A part of a `tokenizer.json`, whose fields are looked at one by one. */
export type TokenizerConfig = Readonly<Record<string, unknown>>

export function isConfig(value: unknown): value is TokenizerConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function configsOf(value: unknown): TokenizerConfig[] {
  return Array.isArray(value) ? value.filter(isConfig) : []
}

/** A token's number, or a type's: what fits the tensors that they go into. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff_ffff
}

/**
 * The regular expression of a compiled step.
 * @throws Error if it has none
 */
export function patternOf({ pattern, type }: TokenizerConfig): RegExp {
  const { flags, source } = isConfig(pattern) ? pattern : {}
  if (typeof source !== 'string' || typeof flags !== 'string') throw new Error(`a ${String(type)} step has no pattern`)
  return new RegExp(source, flags)
}
