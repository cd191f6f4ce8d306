/** The walk-through of docs/operate.md, run as it is written. */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { readPage } from '../fixtures/node/docs.ts'
import { type OriginProcess, startOriginProcess } from '../fixtures/node/origin-process.ts'
import { Walk } from '../fixtures/node/walk.ts'

const KEY = 'a-key-of-the-operator-0123456789'

const walk = new Walk(readPage('operate', 'docs'), { VERGE_API_KEY: KEY })
let traces: ChildProcess | undefined
let traced = ''
let origin: OriginProcess | undefined

beforeAll(async () => {
  walk.kept.set('VERGE_API_KEY', KEY)
  cpSync(join(ROOT, 'models/digits'), join(walk.folder, 'models/digits'), { recursive: true })
  await walk.start()
}, 300_000)
afterAll(async () => {
  traces?.kill()
  await origin?.stop()
  await walk.dispose()
})

/** `npx verge traces`, `npm run origin` and `npm start -- --traces`, on free ports. */
async function startTraced(): Promise<void> {
  const [port = '', served = '', admin = ''] = [await freePort(), await freePort(), await freePort()].map(String)
  const scripts = [join(ROOT, 'scripts/launch.mjs'), join(ROOT, 'scripts/verge.ts')]
  traces = spawn(process.execPath, [...scripts, 'traces', '--port', port], { stdio: ['ignore', 'pipe', 'inherit'] })
  traces.stdout?.setEncoding('utf8').on('data', (text: string) => {
    traced += text
  })
  const collector = `http://127.0.0.1:${port}`
  await walk.start({ OTLP_ENDPOINT: collector, TRACE_SAMPLE_RATE: '1' }, `http://127.0.0.1:${served}`)
  origin = await startOriginProcess({
    from: walk.url,
    cache: join(walk.folder, 'cache'),
    keys: [],
    args: ['--port', served, '--admin-port', admin],
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector },
  })
  await origin.logged('origin_ready')
}

describe('the walk-through of docs/operate.md', () => {
  it('has no command that is not run here', () => {
    const texts = [
      'npm start',
      'push broken',
      'release digits 4=20',
      'verge models digits',
      'verge top --once',
      '/metrics',
      'npx verge traces',
      'npm run origin',
      'npm start -- --traces',
      'TRACE=',
    ]
    expect(walk.blocks).toHaveLength(texts.length)
    for (const [index, text] of texts.entries()) expect(walk.blocks[index]).toContain(text)
  })

  it('2. releases a canary with damaged weights', async () => {
    await walk.run('push broken')
    await walk.run('release digits 4=20')
  })

  it('3. sees it go back by itself', async () => {
    await walk.run('verge models digits')
    await walk.run('verge top --once')
    await walk.run('/metrics')
    const opened = await fetch(`${walk.url}/operate`, { headers: { accept: 'text/html' } })
    expect(opened.status).toBe(200)
  })

  it('4. follows a request to an origin', async () => {
    await startTraced()
    await walk.run('TRACE=')
    await expect
      .poll(() => traced.split(/^(?=trace )/m).find((each) => each.includes(walk.kept.get('TRACE') ?? '-')), {
        timeout: 30_000,
      })
      .toMatch(/\[verge\].*origin.*\[verge-origin\].*load/s)
  })
})
