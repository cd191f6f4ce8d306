/** How kinds of text look in a terminal. */
export type Paint = Readonly<Record<'ok' | 'warning' | 'critical' | 'heading' | 'dim', (text: string) => string>>

const code =
  (start: number) =>
  (text: string): string =>
    text === '' ? '' : `\u001b[${start}m${text}\u001b[0m`

/** Without colours all look the same. */
export function paintOf(colour: boolean): Paint {
  const plain = (text: string): string => text
  if (!colour) return { ok: plain, warning: plain, critical: plain, heading: plain, dim: plain }
  return { ok: code(32), warning: code(33), critical: code(31), heading: code(1), dim: code(2) }
}
