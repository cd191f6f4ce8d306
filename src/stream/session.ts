import { VergeError } from '../core/errors.ts'
import type { Tensors } from '../core/tensors.ts'
import type { CallContext } from '../inference/call.ts'
import type { AdmittedModel } from '../inference/model-runner.ts'
import { type Allowance, fullAllowance, mostBytes, spend } from './allowance.ts'
import { areFloats, fileLike } from './formats.ts'
import type { StreamMessage } from './messages.ts'
import { CLOSE, StreamRefusal, streamErrorMessage, streamRefusal } from './refusal.ts'
import { answerMessage, type StreamDeps } from './stream-context.ts'
import type { StreamOptions } from './stream-options.ts'
import {
  finishStream,
  initialVadState,
  processSamples,
  type VadSettings,
  type VadState,
  vadSettings,
} from './vad-stream.ts'

/** The server's end of a WebSocket, with the attachment that the platform keeps during hibernation. */
export interface StreamSocket {
  send(text: string): void
  close(code: number, reason: string): void
  serializeAttachment(value: unknown): void
  deserializeAttachment(): unknown
}

/** All that a stream is, between two messages. Plain data that survives hibernation. */
interface StreamState {
  readonly options: StreamOptions
  readonly allowance: Allowance
  /** Enough has been heard to know that the bytes are samples of 16 bits. */
  readonly areSamples?: true
  /** Nothing before the first message. */
  readonly vad?: VadState
}

/**
 * One client's stream. Messages are processed one after the other. After each, the state is attached to the socket, so
 * that the object can be evicted between two messages and another object can continue.
 */
export class StreamSession {
  readonly #socket: StreamSocket
  readonly #deps: StreamDeps
  #state: StreamState
  /** Bytes that came in and were not heard yet. */
  #waiting = 0
  #queue: Promise<void> = Promise.resolve()
  #ending = false
  #closed = false

  private constructor(socket: StreamSocket, deps: StreamDeps, state: StreamState) {
    this.#socket = socket
    this.#deps = deps
    this.#state = state
  }

  /** Begins a stream and says so to the client. */
  static begin(socket: StreamSocket, deps: StreamDeps, options: StreamOptions): StreamSession {
    const { model, version, sampleRate, windowLength } = options
    const allowance = fullAllowance(sampleRate, deps.limits, deps.clock.now())
    const session = new StreamSession(socket, deps, { options, allowance })
    session.#keep({})
    session.#send({ type: 'ready', model, version, sample_rate: sampleRate, window: windowLength / sampleRate })
    return session
  }

  /** Continues a stream of an earlier object. Undefined if the socket has no state. */
  static awake(socket: StreamSocket, deps: StreamDeps): StreamSession | undefined {
    const state = socket.deserializeAttachment() as StreamState | null | undefined
    return state ? new StreamSession(socket, deps, state) : undefined
  }

  /** When the client last sent something, by this isolate's clock. */
  get lastMessageAt(): number {
    return this.#state.allowance.at
  }

  /** Takes a message; resolves when it was heard, or the stream was closed for it. */
  receive(message: string | ArrayBuffer, waitUntil: CallContext['waitUntil']): Promise<void> {
    if (this.#closed || this.#ending) return Promise.resolve()
    try {
      this.#admit(message)
    } catch (thrown) {
      this.#refuse(thrown)
      return Promise.resolve()
    }
    this.#queue = this.#queue.then(() => this.#work(message, waitUntil))
    return this.#queue
  }

  /** The client has gone: what still waits to be heard is left. */
  leave(): void {
    this.#closed = true
  }

  /** Ends the stream of a silent client. */
  expire(): void {
    const seconds = this.#deps.limits.streamIdleMs / 1000
    this.#refuse(
      new StreamRefusal(
        CLOSE.idle,
        new VergeError('cancelled', `No message arrived for ${seconds} seconds. Open a new stream.`),
      ),
    )
  }

  /** Counts a message before it is queued: what waits is bounded, and who sends too much is stopped at once. */
  #admit(message: string | ArrayBuffer): void {
    const { clock, limits } = this.#deps
    if (typeof message === 'string') {
      if (message.length > MOST_TEXT || !isEnd(message)) {
        throw new StreamRefusal(
          CLOSE.unsupported,
          new VergeError('invalid_request', 'Send samples as binary messages, and {"type": "end"} after the last.'),
        )
      }
      this.#ending = true
      return
    }
    const { sampleRate } = this.#state.options
    this.#checkFormat(new Uint8Array(message))
    this.#keep({ allowance: spend(this.#state.allowance, message.byteLength, sampleRate, limits, clock.now()) })
    this.#waiting += message.byteLength
    if (this.#waiting > mostBytes(sampleRate, limits)) {
      throw new StreamRefusal(
        CLOSE.tryAgain,
        new VergeError('overloaded', 'The audio arrives faster than it can be processed. Try again in a moment.'),
      )
    }
  }

  /** Sound in another form would be heard as noise. @throws StreamRefusal */
  #checkFormat(bytes: Uint8Array): void {
    const { allowance, areSamples, options } = this.#state
    if (areSamples) return
    const file = allowance.received === 0 ? fileLike(bytes) : undefined
    if (file !== undefined) throw wrongFormat(`looks like ${file}`, options)
    const floats = areFloats(bytes)
    if (floats) throw wrongFormat('has 32-bit floats', options)
    if (floats === false) this.#keep({ areSamples: true })
  }

  async #work(message: string | ArrayBuffer, waitUntil: CallContext['waitUntil']): Promise<void> {
    if (this.#closed) return
    try {
      await answerMessage(this.#deps, this.#state.options, waitUntil, (admitted, context) =>
        this.#process(message, admitted, context),
      )
    } catch (thrown) {
      this.#refuse(thrown)
    } finally {
      if (typeof message !== 'string') this.#waiting -= message.byteLength
    }
  }

  async #process(message: string | ArrayBuffer, { model, runner }: AdmittedModel, context: CallContext): Promise<void> {
    const { options } = this.#state
    const settings: VadSettings = vadSettings(model.manifest, options, this.#deps.limits.streamStateBytes)
    const run = async (inputs: Tensors): Promise<Tensors> =>
      (await runner.run(model, inputs, undefined, context)).outputs
    const before = this.#state.vad ?? initialVadState(settings)
    if (typeof message === 'string') {
      for (const each of await finishStream(settings, before, run)) this.#send(each)
      this.#close(CLOSE.done, 'end')
      return
    }
    const vad = await processSamples(settings, before, new Uint8Array(message), run, (each) => this.#send(each))
    this.#keep({ vad })
  }

  #keep(changed: Partial<StreamState>): void {
    this.#state = { ...this.#state, ...changed }
    this.#socket.serializeAttachment(this.#state)
  }

  #send(message: StreamMessage): void {
    if (this.#closed) return
    try {
      this.#socket.send(JSON.stringify(message))
    } catch {
      // The client has gone; its close event is on the way.
      this.#closed = true
    }
  }

  #refuse(thrown: unknown): void {
    if (this.#closed) return
    const refusal = streamRefusal(thrown)
    const { requestId, model } = this.#state.options
    const fields = {
      requestId,
      model,
      code: refusal.error.code,
      closeCode: refusal.closeCode,
      message: refusal.message,
    }
    if (refusal.closeCode === CLOSE.failed) {
      this.#deps.logger.error('stream_failed', { ...fields, cause: refusal.error.cause ?? refusal.error })
    } else this.#deps.logger.info('stream_refused', fields)
    this.#send({ type: 'error', ...streamErrorMessage(refusal, requestId) })
    this.#close(refusal.closeCode, refusal.error.code)
  }

  #close(code: number, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#socket.close(code, reason)
    } catch {
      // It is closed already.
    }
  }
}

const MOST_TEXT = 1000

function wrongFormat(what: string, { model, sampleRate }: StreamOptions): StreamRefusal {
  return new StreamRefusal(
    CLOSE.invalid,
    new VergeError(
      'invalid_audio',
      `The audio ${what}. A stream takes raw samples only: 16-bit little-endian integers, one channel, ${sampleRate} per second. Convert it, or send a WAV file to POST /run/${model}.`,
      { details: { field: 'format' } },
    ),
  )
}

function isEnd(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'type' in value && value.type === 'end'
  } catch {
    return false
  }
}
