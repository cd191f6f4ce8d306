/** The steps of docs/signing.md, run as they are written. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parsePublicKeys } from '../../src/catalog/signing/public-keys.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { readPage } from '../fixtures/node/docs.ts'
import { verge } from '../fixtures/node/verge.ts'
import { Walk } from '../fixtures/node/walk.ts'

const page = readPage('signing', 'docs')
const walk = new Walk(page, { VERGE_API_KEY: 'a-key-of-the-operator-0123456789' })

beforeAll(() => walk.start(), 300_000)
afterAll(() => walk.dispose())

async function answerOf(model: string): Promise<string> {
  const answer = await fetch(`${walk.url}/v2/models/${model}`)
  const text = await answer.text()
  return answer.ok ? 'answered' : `${answer.status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? text}`
}

/** A command that the page does not have, in the storage of its reader. */
const run = (...args: readonly string[]) => verge([...args, '--persist-to', join(walk.folder, 'state')], { cwd: ROOT })

describe('the steps of docs/signing.md', () => {
  it('have no command that is not run here', () => {
    const texts = [
      'keys sign --create',
      'keys sign --all --adopt',
      'release digits --public',
      'keys sign --all --expires',
    ]
    expect(walk.blocks).toHaveLength(texts.length)
    for (const [index, text] of texts.entries()) expect(walk.blocks[index]).toContain(text)
    expect(page.blocks('toml')).toEqual([expect.stringContaining('RELEASE_KEYS = "the 43 characters')])
  })

  it('1. make a key that its owner alone can read', async () => {
    const printed = await walk.run('keys sign --create')
    const publicKey = /RELEASE_KEYS = "([\w-]{43})"/.exec(printed)?.[1] ?? ''
    expect(parsePublicKeys(publicKey)).toHaveLength(1)
    const file = join(walk.folder, 'release.pem')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const secret = (await readFile(file, 'utf8')).split('\n')[1] ?? ''
    expect(secret).toHaveLength(64)
    expect(printed).not.toContain(secret)
    walk.kept.set('PUBLIC', publicKey)
  })

  it('2. sign what is stored, each model with its digests', async () => {
    const printed = await walk.run('keys sign --all --adopt')
    for (const model of ['abacus', 'digits', 'reviews']) expect(printed).toContain(`${model} is signed with key`)
  })

  it('3. let the Worker serve what is signed', async () => {
    await walk.start({ RELEASE_KEYS: walk.kept.get('PUBLIC') ?? '' })
    for (const model of ['abacus', 'digits', 'reviews']) expect(await answerOf(model)).toBe('answered')
  }, 300_000)

  it('4. sign what changes, and leave it as it is without a key', async () => {
    const refused = await run('release', 'digits', '--private')
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is signed')])
    await walk.run('release digits --public')
    await expect.poll(() => answerOf('digits'), { timeout: 60_000 }).toBe('answered')
  })

  it('5. renew signatures, which the audit log and the list of models show', async () => {
    await walk.run('keys sign --all --expires')
    const listed = await run('models')
    expect(listed.stdout.match(/by key [0-9a-f]{16}, until \d{4}-\d\d-\d\d/g)).toHaveLength(3)
    const verified = await run('audit', '--verify')
    expect(verified.code, verified.stdout + verified.stderr).toBe(0)
    for (const model of ['abacus', 'digits', 'reviews']) expect(await answerOf(model)).toBe('answered')
  })
})
