import { type ChildProcess, fork } from 'node:child_process'
import type { VergeError } from '../../core/errors.ts'
import type { Clock, LogFields, Logger } from '../../core/runtime.ts'
import type { EngineHealth } from '../engine.ts'
import type { Provider } from '../native/support.ts'
import { engineAborted, sessionsLost } from './errors.ts'
import { type Answers, type ChildOptions, type FromChild, type Notice, type Request, receiveError } from './protocol.ts'
import { WorkQueue } from './queue.ts'

export interface EngineChildOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly engine: ChildOptions
  /** Work that takes longer ends the process: a model can loop without end. */
  readonly workLimitMs: number
  /** Starting the process, trying its providers included. */
  readonly startLimitMs: number
}

/** How a process ended. */
export interface Death {
  /** For operators: the signal or exit code, or why it was ended on purpose. */
  readonly reason: string
  /** The provider that was being tried. */
  readonly trial: Provider | null
}

export interface EngineChildEvents {
  onDeath(death: Death): void
  /** Nothing is under way, and nothing waits. */
  onIdle(): void
}

interface Pending {
  readonly kind: Request['kind']
  readonly resolve: (value: never) => void
  readonly reject: (error: VergeError) => void
}

const MAIN = new URL('./child.ts', import.meta.url)

/** The last lines of a dying process, for the log. */
const KEPT_STDERR = 2048

/** Variables that look like credentials: the process that runs models needs none. `NODE_OPTIONS` are the server's own. */
const WITHHELD = /KEY|SECRET|TOKEN|PASS|CREDENTIAL|AUTH|^NODE_OPTIONS$/i

/** One process with an engine in it, from its start to its death. */
export class EngineChild {
  readonly #queue = new WorkQueue()
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
  readonly #end: () => void
  readonly #options: EngineChildOptions
  readonly #process: ChildProcess
  readonly #pending = new Map<number, Pending>()
  readonly #events: EngineChildEvents
  readonly #onParentExit = (): void => {
    this.#process.kill('SIGKILL')
  }
  #requests = 0
  #trial: Provider | null = null
  #stderr = ''
  #ending: string | undefined
  #level: 'info' | 'error' = 'error'
  #death: Death | undefined
  /** Resident memory when it last answered. */
  residentBytes = 0
  /** Loads and sequences under way, which span more than one request. */
  #engagements = 0

  constructor(options: EngineChildOptions, events: EngineChildEvents) {
    this.#options = options
    this.#events = events
    this.#process = fork(MAIN, [], {
      serialization: 'advanced',
      execArgv: [],
      env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !WITHHELD.test(name))),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#process.stderr?.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString('utf8')).slice(-KEPT_STDERR)
    })
    this.#process.on('message', (message: FromChild) => this.#receive(message))
    this.#process.on('error', (error) => {
      // Also where a signal could not be sent; then it lives on.
      if (this.#process.pid === undefined) this.#die(error.message)
    })
    this.#process.on('exit', (code, signal) => {
      this.#ending ??= signal ?? `exit code ${code}`
    })
    // After the exit, when all that it had said has been read.
    this.#process.on('close', () => this.#die('closed'))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#end = resolve
    process.once('exit', this.#onParentExit)
    this.#holdParent()
  }

  get alive(): boolean {
    return this.#death === undefined && this.#ending === undefined
  }

  get idle(): boolean {
    return this.#queue.idle && this.#pending.size === 0 && this.#engagements === 0
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** Tries the providers. @throws engine_aborted if that ends the process */
  start(): Promise<EngineHealth> {
    return this.#request({ kind: 'start', options: this.#options.engine }, this.#options.startLimitMs)
  }

  /**
   * Sends work to the process when its turn in the shared queue has come.
   * @throws engine_aborted if it ended the process, session_lost if the process ended while it waited, cancelled,
   * deadline_exceeded, and errors of the engine
   * @param onDone called after the work that `onTurn` announced, before other work begins
   */
  async work<K extends Request['kind']>(
    line: unknown,
    request: Extract<Request, { kind: K }>,
    signal: AbortSignal,
    onTurn?: () => void,
    onDone?: () => void,
  ): Promise<Answers[K]> {
    const disengage = this.engage()
    try {
      return await this.#queue.run(line, signal, async () => {
        onTurn?.()
        try {
          return await this.#request<K>(request, this.#options.workLimitMs)
        } finally {
          onDone?.()
        }
      })
    } finally {
      disengage()
    }
  }

  /** Whether it answers, and what its engine says of itself. */
  async health(): Promise<EngineHealth> {
    return this.#request({ kind: 'health' }, this.#options.workLimitMs)
  }

  /** Says that there is more to come. @returns what ends that */
  engage(): () => void {
    this.#engagements++
    let engaged = true
    return () => {
      if (!engaged) return
      engaged = false
      this.#engagements--
      if (this.idle && this.alive) this.#events.onIdle()
    }
  }

  tell(notice: Notice): void {
    if (this.alive) this.#process.send(notice, undefined, {}, () => {})
  }

  /** Ends the process; its death is reported like any other. @param level at which it is logged */
  end(reason: string, level: 'info' | 'error' = 'error'): void {
    if (this.#ending === undefined) this.#level = level
    this.#ending ??= reason
    this.#process.kill('SIGKILL')
    this.#holdParent()
  }

  #request<K extends Request['kind']>(request: Extract<Request, { kind: K }>, limitMs: number): Promise<Answers[K]> {
    if (!this.alive) return Promise.reject(sessionsLost())
    return new Promise<Answers[K]>((resolve, reject) => {
      const id = ++this.#requests
      const disarm = this.#options.clock.after(limitMs, () => this.end(`"${request.kind}" took over ${limitMs} ms`))
      const settle = (): void => {
        disarm()
        this.#pending.delete(id)
        this.#holdParent()
      }
      this.#pending.set(id, {
        kind: request.kind,
        resolve: (value) => {
          settle()
          resolve(value)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      this.#holdParent()
      try {
        // A channel that is closed says so in the callback too; the process's exit follows and settles the request.
        this.#process.send({ ...request, id }, undefined, {}, () => {})
      } catch (error) {
        settle()
        reject(error)
      }
    })
  }

  #receive(message: FromChild): void {
    switch (message.kind) {
      case 'trial':
        this.#trial = message.provider
        return
      case 'log':
        this.#options.logger[message.level](message.event, message.fields)
        return
      case 'answer':
        this.residentBytes = message.residentBytes
        this.#pending.get(message.id)?.resolve(message.value as never)
        return
      case 'failure':
        this.residentBytes = message.residentBytes
        this.#pending.get(message.id)?.reject(receiveError(message.error))
    }
  }

  #die(how: string): void {
    if (this.#death !== undefined) return
    const death = { reason: this.#ending ?? how, trial: this.#trial }
    this.#death = death
    process.off('exit', this.#onParentExit)
    const fields: LogFields = {
      reason: death.reason,
      during: [...this.#pending.values()].map(({ kind }) => kind),
      // The output of the process explains a crash, and is dropped after a requested end.
      ...(this.#level === 'error' && { stderr: this.#stderr.trim() }),
    }
    this.#options.logger[this.#level]('engine_process_ended', fields)
    this.#queue.close(sessionsLost())
    for (const { kind, reject } of [...this.#pending.values()]) reject(engineAborted(kind, death.reason))
    this.#events.onDeath(death)
    this.#end()
  }

  /** The parent may exit while no answer or end is awaited; the process ends with it. */
  #holdParent(): void {
    const { channel, stderr } = this.#process
    const pipe = stderr as { ref?(): void; unref?(): void } | null
    if (this.#pending.size > 0 || (this.#ending !== undefined && this.#death === undefined)) {
      this.#process.ref()
      channel?.ref()
      pipe?.ref?.()
    } else {
      this.#process.unref()
      channel?.unref()
      pipe?.unref?.()
    }
  }
}
