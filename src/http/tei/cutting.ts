/** How a request says what becomes of texts that are too long; its fields may be null. */
interface TeiCutting {
  readonly truncate?: boolean | null | undefined
  readonly truncation_direction?: 'Left' | 'Right' | 'left' | 'right' | null | undefined
  readonly prompt_name?: string | null | undefined
}

/** As vectors are asked for. A text that is too long is refused unless the request has it cut. */
export function cuttingOf({ prompt_name: name, truncate, truncation_direction: direction }: TeiCutting) {
  return {
    truncate: truncate ?? false,
    truncation_direction: direction ?? ('right' as const),
    ...(typeof name === 'string' && { prompt_name: name }),
  }
}

/** The same as pairs and labels are asked for. */
export function pairCuttingOf({ truncate, truncation_direction: direction }: TeiCutting) {
  const side = direction?.toLowerCase() === 'left' ? ('left' as const) : ('right' as const)
  return { truncate: truncate ?? false, side }
}
