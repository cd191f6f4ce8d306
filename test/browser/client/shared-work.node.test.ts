import { describe, expect, it } from 'vitest'
import { SharedWork } from '../../../src/browser/client/shared-work.ts'

interface Begun {
  readonly signal: AbortSignal
  readonly resolve: (value: string) => void
  readonly reject: (error: unknown) => void
}

function shared(): { readonly work: SharedWork<string>; readonly begun: Begun[] } {
  const begun: Begun[] = []
  const work = new SharedWork(
    (signal) => new Promise<string>((resolve, reject) => void begun.push({ signal, resolve, reject })),
  )
  return { work, begun }
}

describe('SharedWork', () => {
  it('is done once for all who wait, and again for who comes later', async () => {
    const { begun, work } = shared()
    const both = Promise.all([work.join(), work.join(new AbortController().signal)])
    expect([begun.length, work.isRunning]).toEqual([1, true])
    begun[0]?.resolve('done')
    expect(await both).toEqual(['done', 'done'])
    expect([work.isRunning, begun[0]?.signal.aborted]).toEqual([false, false])
    const later = work.join()
    begun[1]?.resolve('again')
    expect(await later).toBe('again')
  })

  it('goes on while one waits, and ends when the last has left', async () => {
    const { begun, work } = shared()
    const [first, second] = [new AbortController(), new AbortController()]
    const one = work.join(first.signal)
    const two = work.join(second.signal)
    first.abort('left')
    await expect(one).rejects.toMatchObject({ code: 'cancelled', cause: 'left' })
    expect(begun[0]?.signal.aborted).toBe(false)
    second.abort()
    await expect(two).rejects.toMatchObject({ code: 'cancelled' })
    expect([begun[0]?.signal.aborted, work.isRunning]).toEqual([true, false])
    await expect(work.join(first.signal)).rejects.toMatchObject({ code: 'cancelled' })
    expect(begun).toHaveLength(1)
  })

  it('fails for all, and is begun again', async () => {
    const { begun, work } = shared()
    const both = Promise.allSettled([work.join(), work.join()])
    begun[0]?.reject(new Error('broken'))
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const again = work.join()
    begun[1]?.resolve('better')
    expect(await again).toBe('better')
  })
})
