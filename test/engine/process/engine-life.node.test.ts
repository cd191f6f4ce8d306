import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { tensor } from '../../../src/core/tensors.ts'
import type { ByteSource } from '../../../src/engine/engine.ts'
import type { ProcessEngine, ProcessEngineOptions } from '../../../src/engine/process/engine.ts'
import { arithmeticModel } from '../../../synthetic/onnx-models.ts'
import { artifactOf, never } from '../../../synthetic/source.ts'
import { nativeEngine } from '../../fixtures/node/native.ts'
import { processEngine } from '../../fixtures/node/process-engine.ts'

const PARENT = join(import.meta.dirname, '../../fixtures/node/engine-parent.ts')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-engine-'))
  return () => rm(folder, { recursive: true })
})

const engines: ProcessEngine[] = []
const variables: string[] = []
afterEach(async () => {
  for (const name of variables.splice(0)) delete process.env[name]
  for (const engine of engines.splice(0)) await engine.close()
})

function fresh(options: Partial<ProcessEngineOptions> = {}): ProcessEngine {
  const engine = processEngine(options)
  engines.push(engine)
  return engine
}

function setVariable(name: string, value: string): void {
  variables.push(name)
  process.env[name] = value
}

/** Whether a process still runs; one that has ended and waits for its parent to notice does not. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const status = `/proc/${pid}/stat`
  if (process.platform !== 'linux') return true
  return existsSync(status) && !/\) Z /.test(readFileSync(status, 'utf8'))
}

/** A parent whose engine is in the middle of a run without end. */
async function parent(...words: string[]): Promise<{ parent: ChildProcess; pid: number }> {
  const started = spawn(process.execPath, [PARENT, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(started.stdout, 'data')
  return { parent: started, pid: Number(String(line)) }
}

describe("the engine's process", () => {
  it('ends with its parent, even in the middle of a run', async () => {
    const { parent: leaving, pid } = await parent('leave')
    await once(leaving, 'exit')
    await expect.poll(() => runs(pid), { timeout: 30_000 }).toBe(false)
  })

  it('ends when its parent is killed, even in the middle of a run', async () => {
    const { parent: killed, pid } = await parent()
    expect(runs(pid)).toBe(true)
    killed.kill('SIGKILL')
    await expect.poll(() => runs(pid), { timeout: 30_000 }).toBe(false)
  })

  it.skipIf(process.platform !== 'linux')(
    'is given no credentials (skipped only where there is no /proc to see it in)',
    async () => {
      setVariable('VERGE_ORIGIN_KEY', 'not-to-be-seen')
      setVariable('VERGE_ENGINE_VISIBLE', 'to-be-seen')
      const engine = fresh()
      await engine.health()
      const environment = readFileSync(`/proc/${engine.pid}/environ`, 'utf8')
      expect(environment).toContain('to-be-seen')
      expect(environment).not.toContain('not-to-be-seen')
    },
  )
})

describe('weights in a file', () => {
  const source = (file: string, bytes: number): ByteSource => ({
    bytes,
    file,
    deliver: () => Promise.reject(new Error('the file has them')),
  })

  it.each([
    ['native', nativeEngine],
    ['process', fresh],
  ] as const)('are read by the runtime itself: %s', async (_, makeEngine) => {
    const model = arithmeticModel()
    const file = join(folder, 'model')
    await writeFile(file, model)
    const session = await makeEngine().load(await artifactOf(model), source(file, model.length), { signal: never() })
    const a = tensor('FP32', [1], Float32Array.of(2))
    const outputs = await session.run(new Map(Object.entries({ a, b: a })), { outputs: ['sum'], signal: never() })
    expect(outputs.get('sum')?.data).toEqual(Float32Array.of(4))
  })

  it('are refused without a word of where they lie', async () => {
    const file = join(folder, 'nonsense')
    await writeFile(file, 'no model')
    const artifact = { sha256: '', format: 'onnx', bytes: 8 } as const
    for (const name of [file, join(folder, 'missing')]) {
      const error = await fresh()
        .load(artifact, source(name, 8), { signal: never() })
        .catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'model_invalid' })
      expect(String(error)).not.toContain(folder)
    }
  })
})

describe('providers', () => {
  const all = { providers: ['cuda', 'webgpu', 'cpu'] } as const

  it('the first that really computes is used, and the others say why they are not', async () => {
    const engine = fresh(all)
    const health = await engine.health()
    const before = all.providers.slice(0, all.providers.indexOf(health.provider as 'cpu'))
    for (const name of before) expect(health.detail).toMatch(new RegExp(`${name} does not run here: \\S`))
    expect(health.detail ?? '').not.toContain('node_modules')
    const model = arithmeticModel()
    const source: ByteSource = { bytes: model.length, deliver: async (write) => write(0, model) }
    const session = await engine.load(await artifactOf(model), source, { signal: never() })
    const a = tensor('FP32', [1], Float32Array.of(2))
    expect((await session.run(new Map(Object.entries({ a, b: a })), { signal: never() })).get('sum')?.data).toEqual(
      Float32Array.of(4),
    )
  })

  const compiler = ['/usr/bin/cc', '/usr/bin/gcc', '/usr/bin/clang'].find(existsSync)
  it.skipIf(process.platform !== 'linux' || compiler === undefined)(
    'one whose driver ends the process is left out (skipped only where there is no C compiler to make such a driver)',
    async () => {
      const code = join(folder, 'driver.c')
      await writeFile(code, '#include <signal.h>\n__attribute__((constructor)) void die(void) { raise(SIGKILL); }\n')
      execFileSync(compiler as string, ['-shared', '-fPIC', '-o', join(folder, 'libvulkan.so.1'), code])
      setVariable('LD_LIBRARY_PATH', folder)
      const engine = fresh({ providers: ['webgpu', 'cpu'] })
      expect(await engine.health()).toMatchObject({
        ok: true,
        provider: 'cpu',
        detail: 'webgpu does not run here, because it ends the process',
        recoveries: 1,
      })
    },
  )
})
