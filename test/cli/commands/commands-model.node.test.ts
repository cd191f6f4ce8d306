import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BUILD_OPTIONS, buildSettings } from '../../../src/cli/build/arguments.ts'
import { buildModel } from '../../../src/cli/build/build.ts'
import { writeModelFolder } from '../../../src/cli/build/folder.ts'
import { parseCommand } from '../../../src/cli/command.ts'
import { devCommand } from '../../../src/cli/commands/dev.ts'
import { inspectCommand } from '../../../src/cli/commands/inspect.ts'
import { packCommand } from '../../../src/cli/commands/pack.ts'
import { profileCommand } from '../../../src/cli/commands/profile.ts'
import { pushCommand } from '../../../src/cli/commands/push.ts'
import { quantizeCommand } from '../../../src/cli/commands/quantize.ts'
import { verifyCommand } from '../../../src/cli/commands/verify.ts'
import { probeFor } from '../../../src/cli/local/probe.ts'
import { readDescription } from '../../../src/cli/pack/description.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { silentProgress } from '../../../src/cli/terminal/progress.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { quantizedOps } from '../../../src/quantize/quantized-ops.ts'
import { never } from '../../../synthetic/source.ts'
import { loadNative } from '../../fixtures/node/native.ts'
import { encoder } from '../../fixtures/node/networks.ts'
import { type Ran, verge } from '../../fixtures/node/verge.ts'

const { bytes: ENCODER } = encoder()

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-model-'))
  await writeFile(join(folder, 'encoder.onnx'), ENCODER)
  await writeFile(join(folder, 'cut.onnx'), ENCODER.subarray(0, ENCODER.length - 1000))
  await writeFile(join(folder, 'text.onnx'), 'version https://git-lfs.github.com/spec/v1\n')
  await writeFile(join(folder, 'nan.onnx'), withNaN())
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The same with a weight that is broken. */
function withNaN(): Uint8Array {
  const model = decodeModel(ENCODER.slice())
  const down = model.graph?.initializer.find(({ name }) => name === 'down')
  if (down?.rawData === undefined) throw new Error('the weight has moved')
  down.rawData = down.rawData.slice()
  new DataView(down.rawData.buffer).setFloat32(400, Number.NaN, true)
  return encodeModel(model)
}

const run = (...args: string[]): Promise<Ran> => verge(args, { cwd: folder })

/** What lies in the folder beside what was put there. */
async function written(): Promise<string[]> {
  const given = ['cut.onnx', 'encoder.onnx', 'nan.onnx', 'text.onnx']
  return (await readdir(folder)).filter((name) => !given.includes(name)).sort()
}

describe('inspect', () => {
  it('describes a model and its size in each precision', async () => {
    const { code, stdout } = await run('inspect', 'encoder.onnx')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^encoder\.onnx: 2\d\d\.\d KiB\n/)
    expect(stdout).toMatch(/made by verge tests, IR 8, operator sets ai\.onnx 17/)
    expect(stdout).toMatch(/in +ids +INT64 +\[1, (length|-1)\]/)
    expect(stdout).toMatch(/9 nodes in 1 graph: MatMul 2, Add 2, /)
    expect(stdout).toMatch(/tables +1 +125\.0 KiB/)
    expect(stdout).toMatch(/q4 .* fits\n/)
    expect(stdout).toMatch(/Default 8-bit method: dynamic: /)
  })

  it('says it to programs as well, and nothing else', async () => {
    const { code, stdout, stderr } = await run('inspect', 'encoder.onnx', '--json')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { bytes, inputs, estimates, survey, quantized } = JSON.parse(stdout)
    expect(bytes).toBe(ENCODER.length)
    expect(inputs).toMatchObject([{ name: 'ids', datatype: 'INT64' }])
    expect(survey).toMatchObject({ nodes: 9, opsets: { 'ai.onnx': 17 } })
    expect(quantized).toEqual([])
    // Estimates: the original's is known.
    const sizes = Object.fromEntries(
      estimates.map(({ dtype, bytes: size }: { dtype: string; bytes: number }) => [dtype, size]),
    )
    expect(sizes.fp32).toBe(ENCODER.length)
    for (const dtype of ['q8', 'q4']) {
      const made = JSON.parse((await run('quantize', 'encoder.onnx', '--dtype', dtype, '--dry-run', '--json')).stdout)
      expect(Math.abs(sizes[dtype] / made.bytesAfter - 1), dtype).toBeLessThan(0.15)
    }
  })
})

describe('quantize', () => {
  it('writes a smaller model that runs, and says what it lost', async () => {
    const { code, stdout } = await run('quantize', 'encoder.onnx', '-o', 'small.onnx', '--exclude', 'raised')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^encoder\.onnx: 2\d\d\.\d KiB > \d\d\.\d KiB \(\d\d\.\d %\)\n/)
    expect(stdout).toMatch(/precision: q8\n/)
    expect(stdout).toMatch(/lowered +MatMul +int8 +32\.0 KiB +8\.\d KiB +[34]\d\.\d dB/)
    expect(stdout).not.toMatch(/raised +MatMul/)
    expect(stdout).toMatch(/Written to small\.onnx\n$/)
    const small = new Uint8Array(await readFile(join(folder, 'small.onnx')))
    ;(await loadNative(small)).dispose()
    expect(quantizedOps(decodeModel(small))).toContain('MatMulInteger')
    expect(await written()).toEqual(['small.onnx'])
    // What is there is replaced; what is quantized is not quantized again.
    const again = await run('quantize', 'small.onnx', '--dtype', 'q8', '-o', 'small.onnx')
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/overwrite the original/) })
    const other = await run('quantize', 'small.onnx', '--dtype', 'q8', '-o', 'other.onnx')
    expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/already quantized \(.*MatMulInteger/) })
    await rm(join(folder, 'small.onnx'))
    expect(await written()).toEqual([])
  })

  it('calls it by its precision where no name is given, and tells programs what it did', async () => {
    const { code, stdout } = await run('quantize', 'encoder.onnx', '--dtype', 'q4', '--json')
    const { out, dtype, bytesAfter, layers, differences } = JSON.parse(stdout)
    expect({ code, out, dtype, differences }).toEqual({ code: 0, out: 'encoder.q4.onnx', dtype: 'q4', differences: [] })
    expect((await readFile(join(folder, out))).length).toBe(bytesAfter)
    expect(layers).toHaveLength(4)
    await rm(join(folder, out))
  })

  it('ends with a failure where the answers differ', async () => {
    const { code, stdout } = await run('quantize', 'encoder.onnx', '--dtype', 'q4', '--tolerance', '1', '--dry-run')
    expect(code).toBe(1)
    expect(stdout).toMatch(/DIFFERS from the original: output "scores"/)
    expect(stdout).toMatch(/Nothing was written \(--dry-run\)/)
    expect(await written()).toEqual([])
  })

  it.each([
    ['cut.onnx', /ends early|truncated|cut/i],
    ['text.onnx', /Git LFS|not an ONNX model/i],
    ['nan.onnx', /"lowered" \(MatMul\) reads "down", which has NaN at element 100/],
    ['none.onnx', /There is no "none\.onnx"/],
  ])('writes nothing of %s, and says what is wrong', async (file, message) => {
    const { code, stdout, stderr } = await run('quantize', file, '--dtype', 'q8', '-o', 'result.onnx')
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(await written()).toEqual([])
  })

  it('finds out before the work that it cannot be written', async () => {
    await mkdir(join(folder, 'taken'))
    const failures: readonly (readonly [out: string, message: RegExp])[] = [
      ['encoder.onnx', /overwrite the original/],
      ['taken', /is a folder/],
      ['nowhere/x.onnx', /folder that does not exist/],
      ['', /--out is empty/],
    ]
    for (const [out, message] of failures) {
      // A file that is not there would be found out next.
      const spec = join(folder, out === 'encoder.onnx' ? out : 'none.onnx')
      const args = [spec, '--out', out === '' ? '' : join(folder, out)]
      await expect(quantizeCommand.run(args)).rejects.toThrow(message)
    }
    await rm(join(folder, 'taken'), { recursive: true })
    expect(await written()).toEqual([])
    expect(new Uint8Array(await readFile(join(folder, 'encoder.onnx')))).toEqual(new Uint8Array(ENCODER))
  })
})

const COMMANDS = {
  inspect: inspectCommand,
  profile: profileCommand,
  quantize: quantizeCommand,
  verify: verifyCommand,
  pack: packCommand,
  push: pushCommand,
  dev: devCommand,
}

describe('arguments', () => {
  it.each(Object.entries(COMMANDS))('of %s are explained', async (name, command) => {
    const help = (await command.run(['--help'])) ?? ''
    expect(help).toMatch(new RegExp(`\\nUsage: npx verge ${name} `))
    expect(help).toMatch(/\nExamples:\n {2}npx verge /)
  })

  it.each([
    ['profile', /Specify a model: npx verge profile/],
    ['profile none.onnx --runs 0', /--runs takes a whole number from 1 to 1000, not "0"/],
    ['inspect', /Specify a model: npx verge inspect/],
    ['quantize', /Specify a model: npx verge quantize/],
    ['verify', /Specify an original and a candidate: npx verge verify/],
    ['push', /Specify a model: npx verge push/],
    ['dev', /Specify a model: npx verge dev/],
    ['verify a.onnx b.onnx c.onnx', /only an original and a candidate/],
    ['verify none.onnx --dtype int4', /--dtype "int4" is unknown/],
    ['verify none.onnx --samples-part 1/2', /--samples-part needs --samples/],
    ['quantize none.onnx --method static', /--method static needs --samples/],
    ['pack a.onnx b.onnx --name both', /--name applies to a single model/],
    ['pack --model-version 2', /--model-version applies to a single model/],
    ['pack none.onnx --dtype q5', /--dtype takes .*not "q5"/],
    ['push none.onnx --name Mine', /--name takes lower-case/],
    ['push none.onnx --url nowhere', /"nowhere" is not an address/],
    ['push none.onnx --keep many', /--keep must be a whole number/],
    ['push none.onnx --keep 3 --no-live', /leave out --no-live/],
    ['push none.onnx --local --env production', /Use either --local/],
    ['dev none.onnx --port 70000', /port/i],
    ['dev none.onnx --no-public', /--public or --private/],
  ])('of "%s" are missed or refused before anything is done', async (line, message) => {
    const [name = '', ...args] = line.split(' ')
    await expect(COMMANDS[name as keyof typeof COMMANDS].run(args)).rejects.toSatisfy(
      (error) => error instanceof UsageError && message.test(error.message),
    )
  })

  it('that nobody knows are answered with what was meant, in a line', async () => {
    const { code, stderr } = await run('quantize', 'encoder.onnx', '--dtyp', 'q8')
    expect(code).toBe(2)
    expect(stderr).toMatch(/Unknown option --dtyp\. Did you mean --dtype\?/)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    const missed = await run('puhs', 'encoder.onnx')
    expect(missed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^There is no command "puhs"\. Did you mean "push"\?[^\n]*\n$/),
    })
  })

  it('keep a key from travelling in clear', async () => {
    const env = { VERGE_API_KEY: 'a-key-of-the-operator' }
    const args = ['push', 'encoder.onnx', '--url', 'http://verge.example']
    const { code, stdout, stderr } = await verge(args, { cwd: folder, env })
    expect(code).toBe(1)
    expect(stderr).toMatch(/not sent over http:/)
    expect(stdout + stderr).not.toContain(env.VERGE_API_KEY)
  })
})

describe('a model folder', () => {
  const bench = { progress: silentProgress, signal: never() }
  const build = (spec: string, target: string, ...args: string[]) =>
    buildModel(
      join(folder, spec),
      buildSettings(parseCommand(['--no-verify', '--no-measure', '--name', 'mine', ...args], BUILD_OPTIONS).values, {
        folder: target,
      }),
      bench,
    )

  it('is there as a whole, or as it was before', async () => {
    const parent = join(folder, 'models')
    const target = join(parent, 'mine')
    await expect(build('cut.onnx', target)).rejects.toMatchObject({ name: 'OnnxError', code: 'malformed' })
    await expect(readdir(parent)).rejects.toMatchObject({ code: 'ENOENT' })

    const { packed, report } = await build('encoder.onnx', target, '--dtype', 'q8')
    const files = ['model.fp32.onnx', 'model.q8.onnx', 'report.html', 'report.json', 'samples', 'verge.json']
    expect((await readdir(target)).sort()).toEqual(files)
    expect(await readDescription(target)).toMatchObject({
      name: 'mine',
      version: '1',
      artifacts: [
        { file: 'model.q8.onnx', dtype: 'q8', places: ['edge', 'browser'] },
        { file: 'model.fp32.onnx', dtype: 'fp32', places: ['origin'] },
      ],
    })
    expect(JSON.parse(await readFile(join(target, 'report.json'), 'utf8'))).toMatchObject({
      model: 'mine',
      source: report.source,
      verification: null,
    })
    expect(packed.manifest.artifacts.map(({ id }) => id)).toContain('edge-q8')

    // Who serves it asks it this first.
    const probe = await probeFor(packed.manifest, target)
    expect(JSON.parse(String(probe?.body))).toMatchObject({
      inputs: [{ name: 'ids', datatype: 'INT64', shape: [1, 16], data: expect.arrayContaining([expect.any(Number)]) }],
    })

    const before = await readFile(join(target, 'verge.json'), 'utf8')
    await expect(build('nan.onnx', target, '--dtype', 'q8')).rejects.toMatchObject({ code: 'bad_weights' })
    await expect(build('text.onnx', target)).rejects.toThrow(/Git LFS|not an ONNX model/i)
    expect(await readFile(join(target, 'verge.json'), 'utf8')).toBe(before)
    expect((await readdir(target)).sort()).toEqual(files)
    // No drafts are left beside it.
    expect(await readdir(parent)).toEqual(['mine'])

    const description = await readDescription(target)
    const missing = new Map([['model.q8.onnx', { path: join(folder, 'none.onnx') }]])
    await expect(writeModelFolder(target, { description, files: missing })).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readFile(join(target, 'verge.json'), 'utf8')).toBe(before)
    expect(await readdir(parent)).toEqual(['mine'])
    await rm(parent, { recursive: true })
  })
})
