import { throwIfAborted, VergeError } from '../../core/errors.ts'
import { type Clock, type Logger, untilAborted } from '../../core/runtime.ts'
import type { ArtifactInfo, ByteSource, Engine, EngineHealth, LoadContext, Support } from '../engine.ts'
import { NATIVE_VERSION, nativeSupport, type Provider } from '../native/support.ts'
import { type Death, EngineChild } from './child-process.ts'
import { sessionsLost } from './errors.ts'
import type { ChildOptions } from './protocol.ts'
import { Restarts } from './restarts.ts'
import { ProcessSession } from './session.ts'

/** A killed process is gone within milliseconds, unless a driver holds it. */
const ENDING_MS = 2_000

export interface ProcessEngineOptions extends ChildOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** A load's last step, a run or a token that takes longer ends the process: a model can loop without end. */
  readonly workLimitMs: number
  /** Starting the process and trying its providers. */
  readonly startLimitMs: number
  /** Resident memory of the process above which `health` says so. */
  readonly warnResidentBytes?: number
  /** Resident memory above which the process is replaced as soon as it has nothing to do. */
  readonly maxResidentBytes?: number
}

/**
 * `NativeEngine` in a separate process, started on first use and again after a crash: some models end the process that
 * runs them (integer division overflow, out of memory), and some runs never end. The process does one piece of work at
 * a time, because ONNX Runtime for Node blocks its thread; sessions take turns.
 */
export class ProcessEngine implements Engine {
  readonly name = 'native'
  readonly #options: ProcessEngineOptions
  readonly #restarts: Restarts
  /** Providers whose trial ended the process. */
  readonly #fatal = new Set<Provider>()
  #child: EngineChild | undefined
  #starting: Promise<EngineChild> | undefined
  /** The process that is being started. */
  #trying: EngineChild | undefined
  #health: EngineHealth | undefined
  #sessions = 0
  #closed = false

  constructor(options: ProcessEngineOptions) {
    this.#options = options
    this.#restarts = new Restarts(options.clock)
  }

  supports(artifact: ArtifactInfo): Support {
    return nativeSupport(artifact, this.#options)
  }

  async load(artifact: ArtifactInfo, source: ByteSource, context: LoadContext): Promise<ProcessSession> {
    throwIfAborted(context.signal)
    const support = this.supports(artifact)
    if (!support.ok) throw new VergeError(support.code, `The model ${support.reason}.`)
    const child = await this.#ready(context.signal)
    const session = ++this.#sessions
    const disengage = child.engage()
    try {
      const { file } = source
      if (file === undefined) await send(child, session, artifact, source, context.signal)
      const request = { kind: 'open', session, artifact, ...(file !== undefined && { file }) } as const
      return new ProcessSession(child, session, await child.work(artifact.sha256, request, context.signal))
    } catch (error) {
      child.tell({ kind: 'close', session })
      throw error
    } finally {
      disengage()
    }
  }

  async health(): Promise<EngineHealth> {
    try {
      const child = await this.#ready(new AbortController().signal)
      // A busy process cannot answer; the time limit of its work ends it.
      if (child.idle) this.#health = await child.health()
      return this.#report(child.residentBytes)
    } catch (error) {
      this.#options.logger.error('engine_unhealthy', { cause: error })
      return { ...this.#report(0), ok: false, detail: "The engine's process does not start." }
    }
  }

  /** Ends the process. Sessions are lost, and nothing can be loaded any more. */
  async close(): Promise<void> {
    this.#closed = true
    // A start is not waited for: a driver may hold it up for minutes.
    const children = [this.#child, this.#trying]
    for (const child of children) child?.end('closed', 'info')
    for (const child of children) await child?.ended
  }

  /** Of the process, where there is one; for operators and fault tests. */
  get pid(): number | undefined {
    return (this.#child ?? this.#trying)?.pid
  }

  #report(residentBytes: number): EngineHealth {
    const { warnResidentBytes = Number.POSITIVE_INFINITY, maxResidentBytes } = this.#options
    const details = [
      this.#health?.detail,
      ...[...this.#fatal].map((provider) => `${provider} does not run here, because it ends the process`),
      residentBytes > warnResidentBytes
        ? `the engine's process holds ${residentBytes} bytes, more than ${warnResidentBytes}`
        : undefined,
    ].filter((detail) => detail !== undefined)
    return {
      ok: true,
      engine: this.name,
      version: NATIVE_VERSION,
      ...(this.#health?.provider !== undefined && { provider: this.#health.provider }),
      ...(details.length > 0 && { detail: details.join('; ') }),
      heapBytes: residentBytes,
      ...(maxResidentBytes !== undefined && { heapLimitBytes: maxResidentBytes }),
      recoveries: this.#restarts.deaths,
    }
  }

  /** The process, started if it does not run. Concurrent callers wait for the start, each until its own signal. */
  async #ready(signal: AbortSignal): Promise<EngineChild> {
    if (this.#closed) throw new VergeError('session_lost', 'The engine has been closed.')
    if (this.#child?.alive) return this.#child
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined
    })
    return untilAborted(this.#starting, signal)
  }

  async #start(): Promise<EngineChild> {
    const { clock, logger, workLimitMs, startLimitMs, providers = ['cpu'] } = this.#options
    for (;;) {
      // A process that is ending may still use its memory and the GPU's.
      if (this.#child !== undefined) await Promise.race([this.#child.ended, clock.sleep(ENDING_MS)])
      await this.#restarts.pause()
      if (this.#closed) throw sessionsLost()
      let trial: Provider | null = null
      const child = new EngineChild(
        {
          clock,
          logger,
          workLimitMs,
          startLimitMs,
          engine: { ...sendable(this.#options), providers: providers.filter((name) => !this.#fatal.has(name)) },
        },
        {
          onDeath: (death) => {
            trial = death.trial
            this.#lose(child, death)
          },
          onIdle: () => this.#watchMemory(child),
        },
      )
      this.#trying = child
      try {
        this.#health = await child.start()
        this.#child = child
        logger.info('engine_process_started', { pid: child.pid, provider: this.#health.provider })
        return child
      } catch (error) {
        child.end('it did not start')
        // A driver that takes the process with it is left out the next time.
        if (trial === null)
          throw new VergeError('session_lost', 'The engine could not be started. Try again.', {
            cause: error,
            retryAfter: 5,
          })
      } finally {
        this.#trying = undefined
      }
    }
  }

  #lose(child: EngineChild, { trial }: Death): void {
    if (trial !== null) this.#fatal.add(trial)
    if (this.#child === child) this.#child = undefined
    if (!this.#closed) this.#restarts.died()
  }

  #watchMemory(child: EngineChild): void {
    const { maxResidentBytes = Number.POSITIVE_INFINITY } = this.#options
    if (child.residentBytes > maxResidentBytes) {
      child.end(`it used ${child.residentBytes} bytes of memory, more than ${maxResidentBytes}`)
    }
  }
}

/**
 * Forwards weights as they arrive; bytes that are delivered twice are sent twice. Unread bytes stay in this process, so
 * large artifacts should be files.
 */
async function send(
  child: EngineChild,
  session: number,
  artifact: ArtifactInfo,
  source: ByteSource,
  signal: AbortSignal,
): Promise<void> {
  const total = artifact.bytes
  await source.deliver((offset, data) => {
    if (offset < 0 || offset + data.length > total) {
      throw new VergeError(
        'weights_corrupt',
        'The weights are longer than the manifest declares. Push the model again.',
      )
    }
    if (!child.alive) throw sessionsLost()
    child.tell({ kind: 'bytes', session, total, offset, data })
  }, signal)
  throwIfAborted(signal)
}

/** Of the engine's options, those that can cross to another process. */
function sendable(options: ProcessEngineOptions): ChildOptions {
  const { threads, maxArtifactBytes, turnLeaseMs, optimization, memoryLimitBytes } = options
  return {
    maxArtifactBytes,
    turnLeaseMs,
    ...(threads !== undefined && { threads }),
    ...(optimization !== undefined && { optimization }),
    ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
  }
}
