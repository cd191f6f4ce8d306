import { binarySize, duration, printable } from './format.ts'

/** The unit of `advance` and `set`. */
export type ProgressUnit = 'bytes' | 'steps'

export interface ProgressTask {
  /** So much more is done. */
  advance(count: number): void
  /** So much is done in all. */
  set(count: number): void
  /** A line that stays: something that a person should know. */
  note(text: string): void
  /** The task is over. Says `text`, or that it is done. Later calls are ignored. */
  done(text?: string): void
}

/** Says how far long work has come. */
export interface Progress {
  /** @param total amount of work; without it the task shows only that it is running */
  task(label: string, total?: number, unit?: ProgressUnit): ProgressTask
  /** A line that stays, apart from any task. */
  note(text: string): void
  /** Ends every task without a word, and leaves a clean line: for the end of a command that failed. */
  close(): void
}

export interface ProgressOptions {
  readonly stream: { write(text: string): unknown; readonly columns?: number | undefined }
  /** A bar that is drawn over and over, instead of lines now and then. */
  readonly isTTY: boolean
  /** Nothing at all: the output is for a program. */
  readonly json?: boolean
  /** `NO_COLOR` and `TERM=dumb` are honoured. */
  readonly env?: NodeJS.ProcessEnv
  readonly now?: () => number
}

interface Task {
  readonly label: string
  readonly total: number | undefined
  readonly unit: ProgressUnit
  readonly begun: number
  count: number
  /** When it was last written as a line. */
  said: number
  saidCount: number
}

const REDRAW_MS = 100
const LINE_MS = 2_000
/** A line is worth another tenth, or as long a silence as makes people wonder. */
const LINE_SHARE = 0.1
const SILENCE_MS = 10_000
const BAR_WIDTH = 24
const DEFAULT_COLUMNS = 80
/** Before that, a rate says nothing. */
const RATE_AFTER_MS = 1_000

/** Says nothing. */
export const silentProgress: Progress = {
  task: () => ({ advance() {}, set() {}, note() {}, done() {} }),
  note() {},
  close() {},
}

/**
 * Progress on a stream, the standard error as a rule: a bar in a terminal, else a line every few seconds at most, and
 * none for work that is over sooner. Its timer keeps no process alive.
 */
export function createProgress(options: ProgressOptions): Progress {
  if (options.json) return silentProgress
  const env = options.env ?? {}
  return options.isTTY && env.TERM !== 'dumb'
    ? new BarProgress(options, env.NO_COLOR === undefined || env.NO_COLOR === '')
    : new LineProgress(options)
}

abstract class BaseProgress implements Progress {
  protected readonly stream: ProgressOptions['stream']
  protected readonly now: () => number
  protected readonly tasks = new Set<Task>()
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined

  constructor({ stream, now }: ProgressOptions, everyMs: number) {
    this.stream = stream
    this.now = now ?? Date.now
    this.#everyMs = everyMs
  }

  task(label: string, total?: number, unit: ProgressUnit = 'bytes'): ProgressTask {
    const begun = this.now()
    const task: Task = { label: printable(label), total, unit, begun, count: 0, said: begun, saidCount: 0 }
    this.tasks.add(task)
    this.#timer ??= setInterval(() => this.refresh(), this.#everyMs).unref()
    this.refresh()
    const set = (count: number): void => {
      if (!this.tasks.has(task)) return
      task.count = count
      this.refresh()
    }
    return {
      set,
      advance: (count) => set(task.count + count),
      note: (text) => this.note(text),
      done: (text) => {
        if (!this.tasks.delete(task)) return
        if (this.tasks.size === 0) this.#stop()
        this.note(`${task.label}: ${text ?? `done in ${duration(this.now() - task.begun)}`}`)
      },
    }
  }

  close(): void {
    this.tasks.clear()
    this.#stop()
    this.refresh()
  }

  #stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  abstract note(text: string): void
  /** Called after every change and now and then: shows what there is to show. */
  protected abstract refresh(): void
}

class LineProgress extends BaseProgress {
  constructor(options: ProgressOptions) {
    super(options, LINE_MS)
  }

  note(text: string): void {
    this.stream.write(`${printable(text)}\n`)
  }

  protected refresh(): void {
    const now = this.now()
    for (const task of this.tasks) {
      const silence = now - task.said
      const advanced = task.total === undefined ? 0 : (task.count - task.saidCount) / task.total
      if (silence < LINE_MS || (advanced < LINE_SHARE && silence < SILENCE_MS && task.said !== task.begun)) continue
      task.said = now
      task.saidCount = task.count
      this.note(`${task.label}: ${figures(task, now) || duration(now - task.begun)}`)
    }
  }
}

class BarProgress extends BaseProgress {
  readonly #colour: boolean
  #drawn = Number.NEGATIVE_INFINITY
  #shown = false
  readonly #erase = (): void => {
    if (this.#shown) this.stream.write('\r\u001b[K')
    this.#shown = false
  }

  constructor(options: ProgressOptions, colour: boolean) {
    super(options, REDRAW_MS)
    this.#colour = colour
  }

  note(text: string): void {
    this.#erase()
    this.stream.write(`${printable(text)}\n`)
    this.#draw()
  }

  protected refresh(): void {
    const now = this.now()
    if (this.tasks.size > 0 && now - this.#drawn < REDRAW_MS) return
    this.#drawn = now
    this.#draw()
  }

  /** The task that started last, which the others wait for. */
  #draw(): void {
    const task = [...this.tasks].at(-1)
    if (task === undefined) {
      this.#erase()
      process.off('exit', this.#erase)
      return
    }
    // If a second Ctrl-C ends the process without `close`, the prompt still starts on a new line.
    if (!this.#shown) process.off('exit', this.#erase).on('exit', this.#erase)
    const now = this.now()
    const bar = task.total === undefined ? '' : this.#bar(share(task))
    const text = [task.label, figures(task, now) || duration(now - task.begun)].join('  ')
    const room = (this.stream.columns || DEFAULT_COLUMNS) - 1 - (bar === '' ? 0 : BAR_WIDTH + 1)
    const fitted = room > 0 ? text.slice(0, room) : ''
    this.stream.write(`\r\u001b[K${bar === '' || room <= 0 ? '' : `${bar} `}${fitted}`)
    this.#shown = true
  }

  #bar(done: number): string {
    const full = Math.round(done * BAR_WIDTH)
    const [filled, empty] = ['\u2588'.repeat(full), '\u2591'.repeat(BAR_WIDTH - full)]
    return this.#colour ? `\u001b[36m${filled}\u001b[2m${empty}\u001b[0m` : filled + empty
  }
}

/** How far, how much, how fast, and how long still; empty where nothing is known. */
function figures(task: Task, now: number): string {
  const { total, count, unit } = task
  if (total === undefined && count === 0) return ''
  const amount = (value: number): string => (unit === 'bytes' ? binarySize(value) : String(Math.round(value)))
  const elapsed = now - task.begun
  const rate = elapsed >= RATE_AFTER_MS && count > 0 ? count / elapsed : undefined
  const parts = [
    total === undefined ? amount(count) : `${Math.floor(share(task) * 100)} %, ${amount(count)} of ${amount(total)}`,
  ]
  if (rate !== undefined && unit === 'bytes') parts.push(`${binarySize(rate * 1000)}/s`)
  if (rate !== undefined && total !== undefined && count < total) parts.push(`${duration((total - count) / rate)} left`)
  return parts.join(', ')
}

function share({ total, count }: Task): number {
  return total === undefined || total <= 0 ? 1 : Math.min(1, Math.max(0, count / total))
}
