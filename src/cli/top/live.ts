import { setTimeout as sleep } from 'node:timers/promises'
import type { OperationsBody } from '../../protocols/verge/operations.ts'
import { SORTS, type Sort } from './rates.ts'
import { openScreen, type Terminal } from './screen.ts'
import { viewOf } from './view.ts'

export interface LiveOptions {
  readonly terminal: Terminal
  /** Asks the Worker. @throws what a person can be told */
  readonly ask: (signal: AbortSignal) => Promise<OperationsBody>
  readonly address: string
  readonly colour: boolean
  readonly sort: Sort
  /** Between two answers. */
  readonly everyMs: number
  /** Raised by whatever ends the process. */
  readonly signal: AbortSignal
}

const CTRL_C = '\u0003'

/**
 * Shows answers as they come until a key or the signal ends it. The first question has to be answered; later ones that are
 * not leave the last answer on the screen, and say so. @throws what the first question throws
 */
export async function showLive(options: LiveOptions): Promise<void> {
  const { address, ask, colour, everyMs, terminal } = options
  const quit = new AbortController()
  const signal = AbortSignal.any([options.signal, quit.signal])
  let body = await ask(signal)
  let stale: string | undefined
  let { sort } = options
  const draw = (): void => {
    screen.draw(viewOf(body, { ...screen.size, colour, sort, address, stale, keys: true }))
  }
  const pressed = (key: string): void => {
    if (key === 'q' || key === CTRL_C) quit.abort()
    const chosen = SORTS.find((each) => each[0] === key)
    if (chosen === undefined) return
    sort = chosen
    draw()
  }
  const screen = openScreen(terminal, pressed, draw)
  try {
    while (!signal.aborted) {
      draw()
      await sleep(everyMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) break
      try {
        body = await ask(signal)
        stale = undefined
      } catch (error) {
        stale = error instanceof Error ? error.message : String(error)
      }
    }
  } finally {
    screen.close()
  }
}
