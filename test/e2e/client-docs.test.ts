import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

/** Where `npm start` listens. */
const DOCUMENTED = 'http://127.0.0.1:8787'

let worker: LiveWorker
let folder: string

beforeAll(async () => {
  worker = await startLiveWorker()
  folder = mkdtempSync(join(tmpdir(), 'verge-client-'))
  const writer = await writerFor(worker)
  for (const name of ['digits', 'reviews', 'abacus']) {
    await publish(writer, await packFolder(join(ROOT, 'models', name)))
  }
})
afterAll(async () => {
  await worker?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function blocksOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
}

/** Runs a module as it is printed and returns what it prints. Node loads modules from files alone, so the client is one. */
async function printed(code: string): Promise<string> {
  writeFileSync(join(folder, 'client.mjs'), await (await fetch(`${worker.url}/client.js`)).text())
  const file = join(folder, 'example.mjs')
  writeFileSync(file, code.replaceAll(`'${DOCUMENTED}/client.js'`, "'./client.mjs'").replaceAll(DOCUMENTED, worker.url))
  return (await promisify(execFile)(process.execPath, [file])).stdout
}

/** Whether an output has a printed answer, in which "..." stands for what is left out, on one line or on several. */
function has(output: string, answer: string): boolean {
  const dense = (text: string): string => text.replaceAll(/\s/g, '')
  const parts = answer.split('...').map((part) => dense(part).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(parts.join('.*?')).test(dense(output))
}

/** The commands of README.md that ask a Worker, with what each prints, as the comment below it has it. */
function commandsOf(page: string): [command: string, answer: string][] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const commands = [...text.matchAll(/^(curl http.*(?:\n {2}.*)*)\n# (.*)$/gm)]
  return commands.map(([, command = '', answer = '']) => [command, answer])
}

const REVIEW = "[{ label: 'positive', score: 0.99... }, { label: 'negative', score: 0.00... }]"

describe('the commands of README.md', () => {
  it('print what stands below them', async () => {
    const commands = commandsOf('README.md')
    expect(commands).toHaveLength(3)
    for (const [command, answer] of commands) {
      const script = command.replaceAll(DOCUMENTED, worker.url)
      const env = { PATH: process.env.PATH, no_proxy: '*' }
      const { stdout } = await promisify(execFile)('sh', ['-euc', script], { cwd: ROOT, env })
      expect(has(stdout, answer), `${command}\n${stdout}`).toBe(true)
    }
  })
})

/** Where the example of tokens has its page ask. */
const TOKENS = "'/verge-token'"

describe('the examples of JavaScript', () => {
  it('in README.md are five lines each, and print what stands beside them', async () => {
    const [withFetch = '', withClient = '', ...more] = blocksOf('README.md')
    expect(more).toEqual([])
    for (const code of [withFetch, withClient]) expect(code.trim().split('\n')).toHaveLength(5)
    expect(withFetch).toContain(`// ${REVIEW}`)
    expect(has(await printed(withFetch), REVIEW)).toBe(true)
    expect(withClient).toContain('console.log(best.label) // positive')
    const [label, ...parts] = (await printed(withClient)).split('\n')
    expect(label).toBe('positive')
    expect(parts.length).toBeGreaterThan(4)
    expect(parts.join('')).toContain('27 plus 58 is 85')
  })

  it('in docs/client.md print what stands beside them, one after the other', async () => {
    const all = blocksOf('docs/client.md')
    expect(all).toHaveLength(5)
    const blocks = all.filter((code) => !code.includes(TOKENS))
    // What a page has: a file that somebody has chosen.
    const page = `
      import { openAsBlob } from 'node:fs'
      const file = await openAsBlob(${JSON.stringify(join(ROOT, 'models/digits/samples/seven.png'))}, { type: 'image/png' })
      const document = { querySelector: () => ({ files: [file] }) }`
    const output = await printed([page, ...blocks, 'console.log(best.label)'].join('\n'))
    const [first = '', , , tensors = ''] = blocks
    expect(first).toContain(`// ${REVIEW}`)
    expect(has(output, REVIEW), output).toBe(true)
    const parts = (index: number) => [...output.matchAll(new RegExp(`^${index} (.*)$`, 'gm'))].map(([, text]) => text)
    expect(parts(0).join('')).toMatch(/^ ?85\./)
    expect(parts(1).join('')).toMatch(/^ ?13\./)
    expect(output).toMatch(/^27 plus 58 is 85\. \d+$/m)
    const [, answer = ''] = /outputs\.logits\.data\) \/\/ (.*)$/m.exec(tensors) ?? []
    expect(answer).toContain('Float32Array(10)')
    expect(has(output, answer), output).toBe(true)
    expect(output.trim().split('\n').at(-1)).toBe('7')
  })

  it('in docs/client.md ask the backend for a token, and once more after a 401', async () => {
    const example = blocksOf('docs/client.md').find((code) => code.includes(TOKENS)) ?? ''
    // The backend of a page, and a token of it that no key has signed.
    const backend = `
      import { createClient } from '${DOCUMENTED}/client.js'
      const real = globalThis.fetch
      let asked = 0
      globalThis.fetch = (address, init) => {
        if (address !== ${TOKENS}) return real(address, init)
        asked++
        return Promise.resolve(Response.json({ token: 'verge_bt_a.b.c' }))
      }`
    const output = await printed(
      [backend, example, `console.log(await verge.models().catch(({ code }) => code), asked)`].join('\n'),
    )
    expect(output.trim()).toBe('unauthorized 2')
  })
})
