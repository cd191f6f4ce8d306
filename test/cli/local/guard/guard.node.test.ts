import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../../../src/cli/files/project.ts'
import { freePort } from '../../../../src/cli/terminal/port.ts'
import { arithmeticModel } from '../../../../synthetic/onnx-models.ts'

let folder: string
let child: ChildProcess | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-guarded-'))
  await mkdir(join(folder, 'bundle'))
  await writeFile(join(folder, 'bundle/worker.js'), "export default { fetch: () => new Response('ok') }")
  await mkdir(join(folder, 'models/sums'), { recursive: true })
  await writeFile(join(folder, 'models/sums/model.onnx'), arithmeticModel())
  const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
  const description = { name: 'sums', version: '1', licence: 'MIT', visibility: 'public', artifacts }
  await writeFile(join(folder, 'models/sums/verge.json'), JSON.stringify(description))
})
afterEach(() => {
  if (child?.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  child = undefined
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Processes of this machine that have a text in their command. */
async function withText(text: string): Promise<number[]> {
  const found: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === child?.pid) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (command.includes(text)) found.push(Number(name))
  }
  return found
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let i = 0; i < 400 && !(await condition()); i++) await sleep(50)
  expect(await condition()).toBe(true)
}

/** Starts a script, and resolves with the first line that it prints which matches. */
async function started(args: readonly string[], wanted: RegExp): Promise<string> {
  child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout === null) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) if (wanted.test(line)) return line
  throw new Error('It ended without saying so.')
}

describe.skipIf(process.platform !== 'linux')('killing a process (skipped, where there is no /proc)', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('by %s leaves no workerd of its own behind', async (signal) => {
    const script = join(folder, 'start.ts')
    const module = pathToFileURL(join(ROOT, 'src/cli/local/workerd.ts')).href
    await writeFile(
      script,
      `import { startWorkerd } from '${module}'
const { pid } = await startWorkerd(${JSON.stringify(join(folder, 'bundle'))})
console.log('workerd ' + pid + ' guarded ' + process.env.VERGE_GUARDED)
setInterval(() => {}, 1000)`,
    )
    const [, pid = '', guarded = ''] = /^workerd (\d+) guarded (.*)$/.exec(await started([script], /^workerd/)) ?? []
    expect(await readFile(`/proc/${pid}/comm`, 'utf8')).toBe('workerd\n')
    child?.kill(signal)
    await until(() => !existsSync(`/proc/${pid}`))
    // nothing of the guard itself either
    await until(() => !existsSync(guarded))
    await until(async () => (await withText(guarded)).length === 0)
  })

  it.each([
    ['SIGKILL', 'the launcher'],
    ['SIGKILL', 'what it has started'],
    ['SIGTERM', 'what it has started'],
  ] as const)('by %s leaves nothing of npm start behind: %s', { timeout: 120_000 }, async (signal, which) => {
    const port = await freePort()
    const options = ['--port', String(port), '--persist-to', join(folder, `state-${port}`), '--origin', 'none']
    const args = ['scripts/start.ts', '--models', join(folder, 'models'), ...options]
    // A launcher of another Node starts the project's: here one that pretends to be another.
    const otherwise = join(folder, 'otherwise.mjs')
    await writeFile(
      otherwise,
      `if (!process.channel) Object.defineProperty(process.versions, 'node', { value: '20.0.0' })`,
    )
    await started(
      ['--import', pathToFileURL(otherwise).href, join(ROOT, 'scripts/launch.mjs'), ...args],
      /Press Ctrl-C to stop/,
    )
    const mine = async () => withText(String(port))
    const processes = await mine()
    expect(processes.length).toBeGreaterThanOrEqual(4)
    if (which === 'the launcher') child?.kill(signal)
    else {
      for (const pid of processes) {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
        if (command.includes('launch.mjs')) process.kill(pid, signal)
      }
    }
    await until(async () => (await mine()).length === 0)
    if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
})
