import { describe, expect, it } from 'vitest'
import { type LockManagerLike, usableLocks } from '../../../src/browser/weights/locks.ts'

const denied: LockManagerLike = {
  request: async () => {
    throw new DOMException('Access to the Locks API is denied in this context.', 'SecurityError')
  },
}

describe('locks', () => {
  it('are those of the tab where the browser has none, or denies the page its own', async () => {
    for (const manager of [undefined, denied]) {
      const locks = await usableLocks(manager, 'life')
      const order: number[] = []
      const one = locks.alone('a', async () => {
        await new Promise((resolve) => setImmediate(resolve))
        order.push(1)
      })
      await Promise.all([one, locks.alone('a', async () => void order.push(2))])
      expect(order).toEqual([1, 2])
    }
  })

  it('hold that of the life of a web worker before anything else', async () => {
    const asked: string[] = []
    const manager: LockManagerLike = {
      request: (name, _, work) => {
        asked.push(name)
        return work()
      },
    }
    const locks = await usableLocks(manager, 'life')
    expect(await locks.alone('chunk', async () => 'done')).toBe('done')
    expect(asked).toEqual(['life', 'verge-weights/chunk'])
  })
})
