/**
 * The walk-through of docs/security.md, run as it is written: its commands in one shell, one after the other, against a Worker
 * that `npm start` has started, with a storage of its own. The page of another origin is opened in Chromium.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { freePort } from '../../src/cli/terminal/port.ts'
import { describeInChromium } from '../fixtures/node/chromium.ts'
import { nth, readPage } from '../fixtures/node/docs.ts'
import { type StartProcess, startProcess } from '../fixtures/node/start-process.ts'

const page = readPage('security', 'docs')
const walk = page.text.slice(page.text.indexOf('## Walk-through'))
/** The fences of the walk-through, in order: those that start a server are run by the test itself. */
const BLOCKS = [...walk.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)

const OPERATOR = 'a-key-of-the-operator-0123456789'
const HERE = 'http://127.0.0.1:8787'
const PAGE_PORT = '3000'

let folder: string
let worker: StartProcess
let pagePort: number
let backend: ChildProcess | undefined

/** Settings of `.dev.vars`, which are the developer's own here: the process has them in its environment. */
const vars: Record<string, string> = { VERGE_API_KEY: OPERATOR }

function start(): Promise<StartProcess> {
  return startProcess({ models: join(ROOT, 'models'), persistTo: join(folder, 'state'), origin: 'none', vars })
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verge-walk-'))
  mkdirSync(join(folder, 'models/digits'), { recursive: true })
  cpSync(join(ROOT, 'models/digits/samples'), join(folder, 'models/digits/samples'), { recursive: true })
  // wrangler reads which bucket and namespace the commands mean.
  copyFileSync(join(ROOT, 'wrangler.toml'), join(folder, 'wrangler.toml'))
  pagePort = await freePort()
  worker = await start()
}, 300_000)
afterAll(async () => {
  backend?.kill()
  await worker?.stop()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

/** As it is written, at the addresses of this test. */
const here = (text: string) => text.replaceAll(HERE, worker.url).replaceAll(PAGE_PORT, String(pagePort))

/** What a reader's shell keeps from one command to the next. */
const kept = new Map<string, string>()

/** Runs commands of the page. @returns what they print */
async function run(commands: string): Promise<string> {
  const names = ['KEY', 'SLOW', 'SMALL', 'TOKEN']
  const script = `
    npx() {
      local name=$1; shift
      case $name in
        verge) node ${ROOT}/scripts/launch.mjs ${ROOT}/scripts/verge.ts "$@" --persist-to ${folder}/state ;;
        wrangler) node ${ROOT}/node_modules/wrangler/bin/wrangler.js "$@" --persist-to ${folder}/state ;;
        *) return 127 ;;
      esac
    }
    ${here(commands)}
    for name in ${names.join(' ')}; do printf '%s=%s\\n' "$name" "\${!name:-}" >> ${folder}/kept; done`
  rmSync(join(folder, 'kept'), { force: true })
  const env = { ...process.env, ...Object.fromEntries(kept), no_proxy: '*', WRANGLER_SEND_METRICS: 'false' }
  const child = spawn('bash', ['-eo', 'pipefail', '-c', script], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text
  })
  const [code] = await once(child, 'close')
  expect(code, `${commands}\n${printed}\n${complained}`).toBe(0)
  for (const line of readFileSync(join(folder, 'kept'), 'utf8').split('\n')) {
    const [name = '', value = ''] = line.split(/=(.*)/s)
    if (value !== '') kept.set(name, value)
  }
  return printed
}

/** The block that has a text. */
function blockWith(text: string): string {
  const found = BLOCKS.filter((block) => block.includes(text))
  expect(found, text).toHaveLength(1)
  return nth(found, 0)
}

/** What the page says that a block prints: its last comment, in pieces, between which there may be anything. */
function expectPrinted(printed: string, block: string): void {
  const said = block.trimEnd().split('\n').at(-1) ?? ''
  expect(said).toMatch(/^# /)
  const pieces = said
    .slice(2)
    .split('...')
    .filter((piece) => piece !== '')
  const pattern = pieces.map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').trim()).join('.*?')
  expect(printed.replaceAll(/\s+/g, ' '), block).toMatch(new RegExp(pattern, 's'))
}

async function runAsWritten(text: string): Promise<string> {
  const block = blockWith(text)
  const printed = await run(block)
  expectPrinted(printed, block)
  return printed
}

describe('the walk-through of docs/security.md', () => {
  it('has no command that this test does not run', () => {
    const run = [
      'npm start',
      'release reviews --private',
      'KEY=$(npx verge keys create shop',
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
    ]
    expect(BLOCKS).toHaveLength(run.length)
    for (const [index, text] of run.entries()) expect(BLOCKS[index]).toContain(text)
  })

  it('1. hides a private model', async () => {
    await runAsWritten('release reviews --private')
  })

  it('2. creates a key and calls with it', async () => {
    await runAsWritten('keys create shop')
    expect(kept.get('KEY')).toMatch(/^verge_sk_[0-9a-z]{12}_[0-9A-Za-z]{38}$/)
    await runAsWritten('{KEY}x')
  })

  it('3. exceeds a rate and a budget', async () => {
    await runAsWritten('keys create slow')
    await runAsWritten('keys create small')
  })
})

describeInChromium('4. a page of another origin', (browser) => {
  it('runs a private model with a token of its backend', async () => {
    const source = nth(page.blocks('js'), 0)
    writeFileSync(join(folder, 'backend.mjs'), here(source))
    backend = spawn(process.execPath, ['backend.mjs'], {
      cwd: folder,
      env: { ...process.env, KEY: kept.get('KEY') },
      stdio: 'inherit',
    })
    await expect
      .poll(() =>
        fetch(`http://127.0.0.1:${pagePort}/`).then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    const opened = await browser.open(`http://127.0.0.1:${pagePort}/`)
    await expect.poll(() => opened.locator('#answer').textContent()).toBe('positive')
  })
})

describe('the walk-through of docs/security.md, continued', () => {
  it('4. refuses a token on other pages, and mints no other with it', async () => {
    await runAsWritten('TOKEN=$(curl')
  })

  it('5. refuses a key that was revoked, and its tokens', async () => {
    await runAsWritten('keys revoke shop')
    const answer = await fetch(`${worker.url}/run/reviews`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        origin: `http://127.0.0.1:${pagePort}`,
        authorization: `Bearer ${kept.get('TOKEN')}`,
      },
      body: '{"inputs": "A wonderful film."}',
    })
    expect(answer.status).toBe(401)
  })

  it('6. tells usage, and who changed what', async () => {
    const usage = await run(blockWith('/v1/usage'))
    expect(usage).toContain('"principal":"key:')
    const audit = await run(blockWith('npx verge audit'))
    expect(audit).toContain('anna')
    expect(audit).toContain('key-revoke')
  })

  it('7. serves signed releases, and refuses one that was changed', async () => {
    const printed = await run(blockWith('keys sign --create'))
    const [publicKey = ''] = /(?<![\w-])[\w-]{43}(?![\w-])/.exec(printed) ?? []
    expect(publicKey, printed).not.toBe('')
    await worker.stop()
    vars.RELEASE_KEYS = publicKey
    worker = await start()
    await runAsWritten('tampered.json --local')
    // Only this model.
    const other = await fetch(`${worker.url}/v2/models/abacus`)
    expect(other.status).toBe(200)
    await runAsWritten('put verge-models/alias/digits --file alias.json')
  })
})
