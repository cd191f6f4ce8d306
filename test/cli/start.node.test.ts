import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { checkLocalConfiguration } from '../../src/cli/local/configuration.ts'
import { workerReading } from '../../src/cli/local/running-worker.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { pushModel } from '../../src/cli/push/push.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { freePort, isFree } from '../../src/cli/terminal/port.ts'
import { arithmeticModel } from '../../synthetic/onnx-models.ts'

/** `npm start` as npm runs it. */
const COMMAND = [join(ROOT, 'scripts/launch.mjs'), join(ROOT, 'scripts/start.ts')]

let folder: string
let port: number
let started: Started | undefined

interface Started {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  output(): string
  /** Waits until the output has `text`. */
  says(text: string): Promise<void>
}

async function writeModel(
  directory: string,
  description: object,
  model: Uint8Array = arithmeticModel(),
): Promise<void> {
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'model.onnx'), model)
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
  await writeFile(
    join(directory, 'verge.json'),
    JSON.stringify({ version: '1', licence: 'MIT', artifacts, ...description }),
  )
}

function start(...more: string[]): Started {
  const child = spawn(
    process.execPath,
    [...COMMAND, '--port', String(port), '--persist-to', join(folder, 'state'), ...more],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
  }
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  return {
    child,
    exited,
    output: () => text,
    async says(wanted) {
      let code: number | null | undefined
      exited.then((value) => {
        code = value
      })
      while (!text.includes(wanted)) {
        if (code !== undefined) throw new Error(`ended with ${code} before it said "${wanted}":\n${text}`)
        await sleep(50)
      }
    },
  }
}

/** Process numbers of what was started for this test's port: wrangler's two and workerd. Linux only, as CI is. */
async function leftOvers(): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === started?.child.pid) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (command.includes(`--port\0${port}\0`) || command.includes(`=127.0.0.1:${port}`)) found.push(Number(name))
  }
  return found
}

async function untilNoneLeft(): Promise<number[]> {
  for (let time = 0; time < 400 && (await leftOvers()).length > 0; time++) await sleep(50)
  return leftOvers()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-start-'))
  port = await freePort()
  await writeModel(join(folder, 'models/sums'), { name: 'sums', visibility: 'public' })
  await writeModel(join(folder, 'models/secret'), { name: 'secret' })
})
afterEach(async () => {
  if (started?.child.exitCode === null) started.child.kill('SIGKILL')
  for (const pid of await leftOvers()) process.kill(pid, 'SIGKILL')
  started = undefined
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('npm start', () => {
  it('serves what it says, and leaves nothing behind after Ctrl-C', { timeout: 120_000 }, async () => {
    started = start('--models', join(folder, 'models'))
    await started.says('Press Ctrl-C to stop.')
    expect(started.output()).toMatch(/Verge is ready at/)
    expect(started.output()).toContain('Open this address in a browser to try the models')
    expect(started.output()).toMatch(/secret: no test request, because it is private/)
    expect((await leftOvers()).length).toBeGreaterThanOrEqual(2)
    // whoever pushes into this storage asks this Worker
    expect(await workerReading(join(folder, 'state'))).toBe(`http://127.0.0.1:${port}`)
    expect(await workerReading(join(folder, 'other'))).toBeUndefined()

    const curl = started
      .output()
      .split('\n')
      .find((line) => line.startsWith('curl') && line.includes('/v2/models/sums/infer'))
    const { stdout } = await promisify(execFile)('sh', ['-c', `${curl} --silent --fail`])
    expect(JSON.parse(stdout)).toMatchObject({
      model_name: 'sums',
      outputs: [{ name: 'sum', datatype: 'FP32', shape: [1], data: [0] }, {}, {}],
    })

    started.child.kill('SIGINT')
    expect(await started.exited).toBe(0)
    expect(await untilNoneLeft()).toEqual([])
    expect(await workerReading(join(folder, 'state'))).toBeUndefined()
    expect(await isFree(port)).toBe(true)
  })

  it('releases nothing the second time, and reports it when wrangler dies', { timeout: 120_000 }, async () => {
    const target = await openTarget({ local: join(folder, 'state') })
    const packed = await packFolder(join(folder, 'models/sums'))
    await pushModel(target, { ...packed, manifest: { ...packed.manifest, version: '7' } }, { live: true })
    await target.dispose()
    started = start('--models', join(folder, 'models'))
    await started.says('Press Ctrl-C to stop.')
    expect(started.output()).toMatch(/sums 1: nothing to write .* not live, because the operator released 7/)
    expect(started.output()).toContain('sums: no test request, because version 7 is live')
    const [wrangler] = await leftOvers()
    process.kill(wrangler as number, 'SIGKILL')
    expect(await started.exited).toBe(1)
    expect(started.output()).toMatch(/wrangler dev .* unexpectedly/)
    expect(await untilNoneLeft()).toEqual([])
  })

  it("answers the documents' lines as they say", { timeout: 120_000 }, async () => {
    // A port where no origin of the developer's listens.
    started = start('--origin', `http://127.0.0.1:${await freePort()}`)
    await started.says('Press Ctrl-C to stop.')
    const examplesOf = async (page: string): Promise<[string, string][]> => {
      const text = await readFile(join(ROOT, page), 'utf8')
      const found = text.matchAll(/^(curl [\s\S]*?)\n((?:# .*\n)+)/gm)
      return [...found].map(([, command = '', comments = '']) => [command, comments])
    }
    const readme = await examplesOf('README.md')
    // An answer of a running origin has a test of its own.
    const origin = (await examplesOf('docs/origin/run.md')).filter(([, comments]) => comments.includes('origin-down'))
    expect([readme.length, origin.length]).toEqual([3, 1])
    for (const [command, comments] of [...readme, ...origin]) {
      const here = command.replace('127.0.0.1:8787', `127.0.0.1:${port}`)
      const { stdout } = await promisify(execFile)('sh', ['-c', `${here} --silent --fail`], { cwd: ROOT })
      for (const answer of (comments.match(/^# .*$/gm) ?? []).map((line) => line.slice(2))) {
        // What a page leaves out is written "..." there.
        const parts = answer.split('...').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        expect(stdout).toMatch(new RegExp(`^${parts.join('.*')}\r?$`, 'm'))
      }
    }
    started.child.kill('SIGINT')
    expect(await started.exited).toBe(0)
  })

  it('ends all that it has started when asked to end too early', { timeout: 60_000 }, async () => {
    started = start('--models', join(folder, 'models'))
    await started.says('Starting the Worker')
    await sleep(500)
    started.child.kill('SIGTERM')
    expect(await started.exited).toBe(130)
    expect(await untilNoneLeft()).toEqual([])
  })

  it('says what to do about a busy port before it does any work', { timeout: 30_000 }, async () => {
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    try {
      started = start('--models', join(folder, 'models'))
      expect(await started.exited).toBe(1)
      expect(started.output()).toMatch(new RegExp(`Port ${port} is in use[\\s\\S]*npm start -- --port ${port + 1}`))
      expect(started.output()).not.toMatch(/Packing/)
    } finally {
      server.close()
    }
  })

  it('says in a line what is wrong with a variable, and shows no secret', { timeout: 60_000 }, async () => {
    const checked = (variables: string) => async (): Promise<unknown> => {
      const file = join(folder, 'wrong.env')
      await writeFile(file, variables)
      return checkLocalConfiguration(join(ROOT, 'wrangler.toml'), [file])
    }
    const lineOf = (variables: string) => checked(variables)().then(String, (error: Error) => error.message)
    expect(await lineOf("SESSION_BUDGET_MB='900'")).toMatch(/^The Worker.*SESSION_BUDGET_MB: [^\n]*\(In .dev.vars.\)$/)
    expect(await lineOf("VERGE_API_KEY='short-secret'")).toMatch(/VERGE_API_KEY: must have at least 16 characters/)
    expect(await lineOf("VERGE_API_KEY='short-secret'")).not.toContain('short-secret')
    const origin = { name: 'fra', url: 'https://fra.example.com', auth: { type: 'hmac', key: 'ORIGIN_KEY' } }
    expect(await lineOf(`ORIGINS='${JSON.stringify([origin])}'`)).toMatch(/origin "fra" needs the secret ORIGIN_KEY/)
    expect(await lineOf("SESSION_BUDGET_MB='60'")).toBe('undefined')
    started = start('--models', join(folder, 'models'), '--origin', 'http://user:pass@fra.example.com')
    expect(await started.exited).toBe(1)
    expect(started.output().trim().split('\n')).toHaveLength(1)
    expect(started.output()).not.toContain('pass')
  })

  it('names a model that is not right', { timeout: 30_000 }, async () => {
    await writeModel(join(folder, 'wrong/broken'), { name: 'broken' }, new Uint8Array(100).fill(7))
    started = start('--models', join(folder, 'wrong'))
    expect(await started.exited).toBe(1)
    expect(started.output()).toMatch(/model\.onnx: The model could not be loaded/)
    expect(started.output()).not.toMatch(/\n\s+at /)
    started = start('--models', join(folder, 'none'))
    expect(await started.exited).toBe(1)
    expect(started.output()).toMatch(/There is no model in/)
  })

  it('explains itself', { timeout: 30_000 }, async () => {
    started = start('--help')
    expect(await started.exited).toBe(0)
    expect(started.output()).toMatch(/Usage: npm start/)
    started = start('--prot', '1')
    expect(await started.exited).toBe(2)
    expect(started.output().trim().split('\n')).toHaveLength(1)
    expect(started.output()).toMatch(/^Unknown option --prot\. Did you mean --port\? "--help" lists the options\.$/m)
  })
})

describe('the launcher', () => {
  it('says what to do where the dependencies are missing', async () => {
    const bare = join(folder, 'bare/scripts')
    await mkdir(bare, { recursive: true })
    for (const name of ['launch.mjs', 'launcher.mjs']) await copyFile(join(ROOT, 'scripts', name), join(bare, name))
    const failure = promisify(execFile)(process.execPath, [join(bare, 'launch.mjs'), 'scripts/start.ts'])
    await expect(failure).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/npm ci/) })
  })
})
