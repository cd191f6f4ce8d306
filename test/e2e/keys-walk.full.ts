/** The walk-through of docs/keys.md, run as it is written. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readPage } from '../fixtures/node/docs.ts'
import { Walk } from '../fixtures/node/walk.ts'

const walk = new Walk(readPage('keys', 'docs'), { VERGE_API_KEY: 'a-key-of-the-operator-0123456789' })

beforeAll(() => walk.start(), 300_000)
afterAll(() => walk.dispose())

/** What the Worker says to a key. */
async function statusOf(key: string | undefined): Promise<number> {
  const answer = await fetch(`${walk.url}/v2/models/digits`, { headers: { authorization: `Bearer ${key}` } })
  await answer.body?.cancel()
  return answer.status
}

describe('the walk-through of docs/keys.md', () => {
  it('has no command that is not run here', () => {
    const texts = ['keys create shop', 'keys list', 'keys rotate shop', 'keys update shop', 'keys revoke "$KEY"']
    expect(walk.blocks).toHaveLength(texts.length)
    for (const [index, text] of texts.entries()) expect(walk.blocks[index]).toContain(text)
  })

  it('creates a key and calls with it', async () => {
    expect(await walk.run('keys create shop')).toContain('"label":"5"')
  })

  it('shows it without its secret', async () => {
    const shown = await walk.run('keys list')
    const [, , id = '', secret = ''] = walk.kept.get('KEY')?.split('_') ?? []
    expect(shown).toContain(id)
    expect(shown).toContain('60/1m')
    expect(shown).not.toContain(secret)
  })

  it('rotates it, and both secrets are accepted', async () => {
    await walk.run('keys rotate shop')
    expect(walk.kept.get('NEW')).not.toBe(walk.kept.get('KEY'))
    await expect.poll(() => statusOf(walk.kept.get('NEW')), { timeout: 60_000 }).toBe(200)
    expect(await statusOf(walk.kept.get('KEY'))).toBe(200)
  })

  it('changes what it may do', async () => {
    expect(await walk.run('keys update shop')).toContain('reviews')
  })

  it('revokes it, with all of its secrets', async () => {
    const block = walk.block('keys revoke "$KEY"')
    expect(block.trimEnd().split('\n').at(-1)).toBe('npx verge release digits --public')
    expect(await walk.run('keys revoke "$KEY"')).toContain('key-revoke')
    const explained = async (key: string | undefined) => {
      const answer = await fetch(`${walk.url}/v2/models/missing`, { headers: { authorization: `Bearer ${key}` } })
      return `${answer.status} ${await answer.text()}`
    }
    for (const name of ['KEY', 'NEW']) {
      await expect.poll(() => explained(walk.kept.get(name)), { timeout: 120_000 }).toMatch(/^401 .*revoked/s)
    }
  })
})
