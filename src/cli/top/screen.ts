/** What of a terminal is used; `process.stdout` and `process.stdin` are one. */
export interface Terminal {
  readonly output: {
    readonly columns?: number | undefined
    readonly rows?: number | undefined
    write(text: string): unknown
    on(event: 'resize', listener: () => void): unknown
    off(event: 'resize', listener: () => void): unknown
  }
  readonly input: {
    readonly isTTY?: boolean | undefined
    setRawMode?(raw: boolean): unknown
    on(event: 'data', listener: (data: Uint8Array) => void): unknown
    off(event: 'data', listener: (data: Uint8Array) => void): unknown
    resume(): unknown
    pause(): unknown
  }
}

const ESC = '\u001b['
/** The alternate screen, without a cursor; and back, with everything as it was. */
const ENTER = `${ESC}?1049h${ESC}?25l`
const LEAVE = `${ESC}0m${ESC}?25h${ESC}?1049l`

/** Of a terminal that does not say. */
const SIZE = { columns: 80, rows: 24 }

export interface Screen {
  readonly size: { readonly columns: number; readonly rows: number }
  draw(lines: readonly string[]): void
  /** Gives the terminal back. A second call does nothing. */
  close(): void
}

/**
 * Takes over a terminal until it is closed, or until the process ends in whichever way it can notice.
 * @param onKey is told of each key, Ctrl-C among them, as the terminal writes it
 */
export function openScreen({ input, output }: Terminal, onKey: (key: string) => void, onResize: () => void): Screen {
  const pressed = (data: Uint8Array): void => {
    for (const key of new TextDecoder().decode(data)) onKey(key)
  }
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    process.off('exit', close)
    output.off('resize', onResize)
    input.off('data', pressed)
    if (input.isTTY) {
      input.setRawMode?.(false)
      input.pause()
    }
    output.write(LEAVE)
  }
  process.on('exit', close)
  output.on('resize', onResize)
  if (input.isTTY) {
    input.setRawMode?.(true)
    input.on('data', pressed)
    input.resume()
  }
  output.write(ENTER)
  return {
    get size() {
      return { columns: output.columns || SIZE.columns, rows: output.rows || SIZE.rows }
    },
    // Each line replaces the one that was there, so that nothing flickers.
    draw: (lines) => output.write(`${ESC}H${lines.map((line) => `${line}${ESC}K`).join('\r\n')}${ESC}J`),
    close,
  }
}
