import { VergeError } from '../../core/errors.ts'
import type { ArtifactInfo } from '../engine.ts'
import type { NativeEngine } from '../native/engine.ts'
import type { NativeSession } from '../native/session.ts'
import type { Answers, Notice, Request } from './protocol.ts'

type Decoder = ReturnType<NativeSession['decoder']>

/** Work that has begun is seen to its end: who asked for it decides whether the answer is still wanted. */
const NO_SIGNAL = new AbortController().signal

/** The child's side: sessions and sequences by the numbers that the parent gave them. */
export class EngineHost {
  readonly #engine: NativeEngine
  readonly #sessions = new Map<number, NativeSession>()
  readonly #weights = new Map<number, Uint8Array>()
  readonly #sequences = new Map<number, { readonly session: number; readonly decoder: Decoder }>()

  constructor(engine: NativeEngine) {
    this.#engine = engine
  }

  async answer(request: Exclude<Request, { kind: 'start' }>): Promise<Answers[Request['kind']]> {
    switch (request.kind) {
      case 'health':
        return this.#engine.health()
      case 'open':
        return this.#open(request.session, request.artifact, request.file)
      case 'run':
        return this.#session(request.session).run(request.inputs, { outputs: request.outputs, signal: NO_SIGNAL })
      case 'feed':
        return this.#feed(request.session, request.sequence, request.tokens)
    }
  }

  notice(notice: Notice): void {
    switch (notice.kind) {
      case 'bytes':
        this.#receive(notice.session, notice.total, notice.offset, notice.data)
        return
      case 'end':
        this.#sequences.delete(notice.sequence)
        return
      case 'close':
        this.#close(notice.session)
    }
  }

  async #open(session: number, artifact: ArtifactInfo, file: string | undefined): Promise<Answers['open']> {
    const weights = file ?? this.#weights.get(session) ?? new Uint8Array(0)
    this.#weights.delete(session)
    const opened = await this.#engine.open(artifact, weights)
    this.#sessions.set(session, opened)
    return { signature: opened.signature, bytes: opened.bytes }
  }

  /** A sequence that failed is over: what its cache holds then is not known. */
  async #feed(session: number, sequence: number, tokens: readonly number[]): Promise<Float32Array> {
    const decoder = this.#sequences.get(sequence)?.decoder ?? this.#session(session).decoder()
    this.#sequences.set(sequence, { session, decoder })
    try {
      return await decoder.feed(tokens, { signal: NO_SIGNAL })
    } catch (error) {
      this.#sequences.delete(sequence)
      throw error
    }
  }

  /** The parent has checked that the range lies within the whole. */
  #receive(session: number, total: number, offset: number, data: Uint8Array): void {
    let bytes = this.#weights.get(session)
    if (bytes === undefined) {
      bytes = new Uint8Array(total)
      this.#weights.set(session, bytes)
    }
    bytes.set(data, offset)
  }

  #close(session: number): void {
    this.#weights.delete(session)
    for (const [number, sequence] of this.#sequences) {
      if (sequence.session === session) this.#sequences.delete(number)
    }
    this.#sessions.get(session)?.dispose()
    this.#sessions.delete(session)
  }

  #session(session: number): NativeSession {
    const found = this.#sessions.get(session)
    if (found === undefined)
      throw new VergeError('session_lost', 'The model is not loaded any more. Send the request again.')
    return found
  }
}
