/** The walk-through of docs/security.md, run as it is written. The page of another origin is opened in Chromium. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../src/cli/terminal/port.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { nth, readPage } from '../fixtures/node/docs.ts'
import { Walk } from '../fixtures/node/walk.ts'

const page = readPage('security', 'docs')
const walk = new Walk(page, { VERGE_API_KEY: 'a-key-of-the-operator-0123456789' })
let visited: string
let backend: ChildProcess | undefined

beforeAll(async () => {
  const port = String(await freePort())
  visited = `http://127.0.0.1:${port}`
  walk.replace('3000', port)
  await walk.start()
}, 300_000)
afterAll(async () => {
  backend?.kill()
  await walk.dispose()
})

const review = (headers: Readonly<Record<string, string>>) =>
  fetch(`${walk.url}/run/reviews`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"inputs": "A wonderful film."}',
  })

describe('the walk-through of docs/security.md', () => {
  it('has no command that is not run here', () => {
    const texts = [
      'npm run audit',
      'npm start',
      'release reviews --private',
      'keys create shop',
      '{KEY}x',
      'keys create slow',
      'keys create small',
      'node backend.mjs',
      'TOKEN=$(curl',
      'keys revoke shop',
      '/v1/usage',
      'npx verge audit',
      'keys sign --create',
      'RELEASE_KEYS=',
      'tampered.json --local',
      'put verge-models/alias/digits --file alias.json',
      'release abacus --public --unsigned',
    ]
    expect(walk.blocks).toHaveLength(texts.length)
    for (const [index, text] of texts.entries()) expect(walk.blocks[index]).toContain(text)
  })

  it('1. hides a private model', async () => {
    await walk.run('release reviews --private')
  })

  it('2. creates a key and calls with it', async () => {
    await walk.run('keys create shop')
    expect(walk.kept.get('KEY')).toMatch(/^verge_sk_[0-9a-z]{12}_[0-9A-Za-z]{38}$/)
    await walk.run('{KEY}x')
  })

  it('3. exceeds a rate and a budget', async () => {
    await walk.run('keys create slow')
    await walk.run('keys create small')
  })
})

describeInChromium('4. a page of another origin', (browser) => {
  it('runs a private model with a token of its backend', async () => {
    writeFileSync(join(walk.folder, 'backend.mjs'), walk.here(nth(page.blocks('js'), 0)))
    backend = spawn(process.execPath, ['backend.mjs'], {
      cwd: walk.folder,
      env: { ...process.env, KEY: walk.kept.get('KEY') },
      stdio: 'inherit',
    })
    const status = () =>
      fetch(visited).then(
        (answer) => answer.status,
        () => 0,
      )
    await expect.poll(status).toBe(200)
    const opened = await browser.open(visited)
    await expect.poll(() => opened.locator('#answer').textContent()).toBe('positive')
  })
})

describe('the walk-through of docs/security.md, continued', () => {
  it('4. refuses a token on other pages, and mints no other with it', async () => {
    await walk.run('TOKEN=$(curl')
  })

  it('5. refuses a key that was revoked, and its tokens', async () => {
    await walk.run('keys revoke shop')
    const answer = await review({ origin: visited, authorization: `Bearer ${walk.kept.get('TOKEN')}` })
    expect(answer.status).toBe(401)
  })

  it('6. tells usage, and who changed what', async () => {
    expect(await walk.run('/v1/usage')).toContain('"principal":"key:')
    const audit = await walk.run('npx verge audit')
    expect(audit).toContain('anna')
    expect(audit).toContain('key-revoke')
  })

  it('7. serves signed releases, and refuses one that was changed', async () => {
    const printed = await walk.run('keys sign --create')
    const [publicKey = ''] = /(?<![\w-])[\w-]{43}(?![\w-])/.exec(printed) ?? []
    expect(publicKey, printed).not.toBe('')
    await walk.start({ RELEASE_KEYS: publicKey })
    await walk.run('tampered.json --local')
    // Only this model.
    expect((await fetch(`${walk.url}/v2/models/abacus`)).status).toBe(200)
    await walk.run('put verge-models/alias/digits --file alias.json')
    await walk.run('release abacus --public --unsigned')
  })
})
