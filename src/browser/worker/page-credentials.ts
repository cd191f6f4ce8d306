import { VergeError } from '../../core/errors.ts'
import type { Calls, WorkerEvent } from '../messages.ts'

interface Waiting {
  resolve(credential: string | undefined): void
  reject(error: VergeError): void
}

/** Credentials that end: the page makes them, and is asked before each request. */
export class PageCredentials {
  readonly #post: (event: WorkerEvent) => void
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(post: (event: WorkerEvent) => void) {
    this.#post = post
  }

  current(): Promise<string | undefined> {
    return this.#ask({})
  }

  renewed(refused: string): Promise<string | undefined> {
    return this.#ask({ refused })
  }

  given({ credential, failure, wanted }: Calls['credential']['takes']): void {
    const waiting = this.#waiting.get(wanted)
    this.#waiting.delete(wanted)
    if (failure === undefined) waiting?.resolve(credential)
    else waiting?.reject(new VergeError('unauthorized', failure))
  }

  #ask(question: { readonly refused?: string }): Promise<string | undefined> {
    const wanted = ++this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(wanted, { resolve, reject })
      this.#post({ event: 'credential', wanted, ...question })
    })
  }
}
