/** A participant whose work is done in turns. */
export interface Contender {
  /**
   * Takes the work of one turn from its queue; undefined if there is no work now. A participant that postpones a turn
   * must wake the share later. The work never rejects.
   */
  next(): (() => Promise<void>) | undefined
}

/**
 * Deals out turns to contenders, one after the other in a ring, whatever they have waiting: who sends more than others
 * waits longer, and they do not. A turn is as long as the engine takes for it.
 */
export class FairShare {
  readonly #concurrency: number
  /** Who had a turn goes to the end. */
  #ring: Contender[] = []
  #running = 0
  #scheduled = false

  /** @param concurrency turns at a time */
  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  add(contender: Contender): void {
    this.#ring.push(contender)
  }

  remove(contender: Contender): void {
    this.#ring = this.#ring.filter((other) => other !== contender)
  }

  /** Something may be there to do. It begins after the caller's own turn of the loop, so that runs asked for together go together. */
  wake(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#deal()
    })
  }

  #deal(): void {
    while (this.#running < this.#concurrency) {
      const work = this.#take()
      if (work === undefined) return
      this.#running++
      work().finally(() => {
        this.#running--
        this.wake()
      })
    }
  }

  #take(): (() => Promise<void>) | undefined {
    for (const contender of this.#ring) {
      const work = contender.next()
      if (work === undefined) continue
      this.remove(contender)
      this.add(contender)
      return work
    }
    return undefined
  }
}
