import type { Clock } from '../../core/runtime.ts'
import { duration } from './format.ts'

export interface StepsOptions {
  readonly clock: Pick<Clock, 'now' | 'after'>
  /** Gets a line a step, and one now and then for a step that takes long. */
  readonly progress: (line: string) => void
}

/** Without a sign of life for longer, a command seems to hang. */
const SILENCE_MS = 4_000

/** Runs named steps one after the other, and prints the name of each. */
export function steps({ clock, progress }: StepsOptions) {
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const begun = clock.now()
    progress(name)
    const tell = (): void => {
      progress(`  still running after ${duration(clock.now() - begun)}`)
      callOff = clock.after(SILENCE_MS, tell)
    }
    let callOff = clock.after(SILENCE_MS, tell)
    try {
      return await work()
    } finally {
      callOff()
    }
  }
}
