import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import type { Manifest } from '../../src/catalog/manifest.ts'
import type { ModelFile } from '../../src/catalog/model-file.ts'
import { isVergeError, VergeError } from '../../src/core/errors.ts'
import { LIMITS, type Limits } from '../../src/core/limits.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import { finish } from '../../src/core/work.ts'
import { STATUS } from '../../src/protocols/status.ts'
import { createTasks } from '../../src/tasks/index.ts'
import { type BoundTask, RawAnswer, type TaskBody, type TaskModel } from '../../src/tasks/task.ts'

/** A model that fits a task, and what is different about the task. */
export interface TaskCase {
  readonly manifest: Manifest
  readonly files?: Readonly<Record<string, Uint8Array>>
  /** What the model computes of its inputs. Absent for a task that writes token by token. */
  readonly compute?: (inputs: Tensors) => Tensors
  /** The tokens that a model writes after any prompt. */
  readonly writes?: readonly number[]
  /** Whether it reads in pieces (`perform`), at least where a piece may be one step. */
  readonly performs: boolean
  /** Takes bytes of any media type. */
  readonly anyMediaType?: boolean
  /** Limits that a good body passes, with the code of its refusal. */
  readonly passed: readonly { readonly limits: Partial<Limits>; readonly body?: unknown; readonly code: string }[]
  /** A body in JSON, else the example, that takes several runs under these limits. Absent for a task of one run. */
  readonly several?: { readonly body?: unknown; readonly limits?: Partial<Limits> }
}

interface Asked {
  readonly body?: TaskBody
  readonly limits?: Partial<Limits>
  readonly manifest?: Manifest
  readonly files?: TaskCase['files']
  readonly model?: Partial<TaskModel>
  /** In place of the model. */
  readonly run?: (inputs: Tensors) => Promise<Tensors>
  /** Takes the inputs of each run as it is made. */
  readonly runs?: Tensors[]
}

const json = (value: unknown): TaskBody => ({ kind: 'json', value })

/** What every task has to do, whatever it is about. A task does not compile without a case of its own. */
export function taskContract(name: keyof ReturnType<typeof createTasks>, given: TaskCase): void {
  const { manifest } = given
  const taskOf = (limits: Partial<Limits> = {}): BoundTask => createTasks({ ...LIMITS, ...limits })[name]
  const task = taskOf()
  const described = task.forModel?.(manifest) ?? task
  const { example } = described as { readonly example: Readonly<Record<string, unknown>> }

  /** Executes the task, with all that the model was asked. */
  async function ask({ body = json(example), limits = {}, model = {}, run, runs = [], ...asked }: Asked) {
    const files = asked.files ?? given.files ?? {}
    const made: TaskModel = {
      manifest: asked.manifest ?? manifest,
      async file({ name, parse }) {
        const bytes = files[name]
        if (bytes === undefined) throw new VergeError('manifest_invalid', `The model has no file "${name}".`)
        return parse(bytes)
      },
      ...model,
    }
    const running = async (inputs: Tensors): Promise<Tensors> => {
      runs.push(inputs)
      if (run !== undefined) return run(inputs)
      if (given.compute === undefined) throw new Error('this task runs no model by itself')
      return given.compute(inputs)
    }
    const { signal } = new AbortController()
    const language: NonNullable<TaskModel['language']> = {
      signal,
      model: {
        ...made,
        randomId: () => '1',
        async generate(prompt, { maxNewTokens }) {
          const ids = BigInt64Array.from(prompt, BigInt)
          const inputs: Tensors = new Map([['input_ids', tensor('INT64', [1, ids.length], ids)]])
          runs.push(inputs)
          await run?.(inputs)
          const tokens = (given.writes ?? []).slice(0, maxNewTokens)
          return {
            tokens: (async function* () {
              yield* tokens
            })(),
          }
        },
      },
    }
    const withLanguage = given.writes === undefined ? made : { ...made, language }
    const answer = taskOf(limits).execute(body, withLanguage, running)
    return { answer, runs }
  }

  async function answered(asked: Asked = {}) {
    const { answer, runs } = await ask(asked)
    return { answer: await answer, runs }
  }

  /** The typed error that a request ends with. @throws what is none, and where there is an answer */
  async function refused(asked: Asked, what = ''): Promise<{ readonly error: VergeError; readonly runs: number }> {
    const { answer, runs } = await ask(asked)
    const error = await answer.then(
      (value) => new Error(`${what} was answered: ${JSON.stringify(value)}`),
      (thrown: unknown) => thrown,
    )
    if (!isVergeError(error)) throw error
    return { error, runs: runs.length }
  }

  function expectFaultOfCaller({ code }: VergeError, what: string): void {
    expect(STATUS[code], `${what}: ${code}`).toBeGreaterThanOrEqual(400)
    expect(STATUS[code], `${what}: ${code}`).toBeLessThan(500)
  }

  const bytesOf = (answer: unknown): unknown => (answer instanceof RawAnswer ? [...answer.bytes] : answer)

  describe(`task: ${name}`, () => {
    it('is described by schemas that a document can hold, and that its example fits', () => {
      expect(task.name).toBe(name)
      for (const schema of [task.request, task.response]) {
        expect(Object.keys(z.toJSONSchema(schema, { io: 'input' }))).not.toEqual([])
      }
      expect(task.request.safeParse(task.example).error).toBeUndefined()
      expect(described.request.safeParse(described.example).error).toBeUndefined()
      for (const type of task.mediaTypes) expect(type).toMatch(/^[a-z0-9]+\/[a-z0-9.+-]+$/)
    })

    it('answers its example as its schema says, with nothing that JSON would lose', async () => {
      const { answer, runs } = await answered()
      expect(runs.length).toBeGreaterThan(0)
      const { contentMediaType } = z.globalRegistry.get(task.response) ?? {}
      if (answer instanceof RawAnswer) {
        expect(answer.mediaType).toBe(contentMediaType)
        expect(answer.bytes.length).toBeGreaterThan(0)
        return
      }
      expect(contentMediaType).toBeUndefined()
      expect(task.response.safeParse(answer).error).toBeUndefined()
      expect(JSON.parse(JSON.stringify(answer))).toEqual(answer)
    })

    it('reads those files of the model that it says it reads, each with what it says of it', async () => {
      const read: ModelFile[] = []
      await answered({
        model: {
          async file(file) {
            if (!read.includes(file)) read.push(file)
            return file.parse(given.files?.[file.name] ?? new Uint8Array())
          },
        },
      })
      expect(read).toEqual(task.files?.(manifest) ?? [])
    })

    it('answers numbers, or says why not, where the model answers none', async () => {
      const { compute } = given
      if (compute === undefined) return
      const nowhere = (inputs: Tensors): Tensors =>
        new Map(
          [...compute(inputs)].map(([output, value]) => [
            output,
            value.datatype === 'FP32'
              ? tensor(
                  'FP32',
                  value.shape,
                  value.data.map(() => Number.NaN),
                )
              : value,
          ]),
        )
      const { answer } = await ask({ run: async (inputs) => nowhere(inputs) })
      const got = await answer.catch((thrown: unknown) => {
        if (!isVergeError(thrown)) throw thrown
        return null
      })
      if (got instanceof RawAnswer) return
      expect(JSON.parse(JSON.stringify(got))).toEqual(got)
    })

    it('hands the model its own inputs, of the types and shapes that its manifest says', async () => {
      const { runs } = await answered()
      for (const inputs of runs) {
        const dimensions = new Map<string, number>()
        expect([...inputs.keys()].sort()).toEqual(manifest.inputs.map((input) => input.name).sort())
        for (const { name: input, datatype, shape } of manifest.inputs) {
          const value = inputs.get(input)
          expect(value?.datatype, input).toBe(datatype)
          expect(value?.shape.length, input).toBe(shape.length)
          expect(value?.data.length, input).toBe(value?.shape.reduce((product, size) => product * size, 1))
          for (const [i, size] of shape.entries()) {
            const real = value?.shape[i] ?? -1
            // one name is one size in all inputs of a run
            const expected = typeof size === 'number' ? size : (dimensions.get(size) ?? real)
            if (typeof size === 'string') dimensions.set(size, real)
            expect(real, `${input}[${i}]`).toBe(expected)
          }
        }
      }
    })

    it('answers the same twice, and leaves the body as it was', async () => {
      const body = json(structuredClone(example))
      const first = await answered({ body })
      const second = await answered({ body })
      expect(body).toEqual(json(example))
      expect(bytesOf(second.answer)).toEqual(bytesOf(first.answer))
      expect(second.runs).toEqual(first.runs)
    })

    it('refuses malformed bodies as a fault of the caller, before any run', async () => {
      let nested: unknown = 'x'
      for (let i = 0; i < 200; i++) nested = [nested]
      const values: readonly unknown[] = [
        null,
        true,
        5,
        'a text',
        [],
        {},
        { inputs: null },
        { inputs: 7 },
        { inputs: {} },
        { inputs: [] },
        { inputs: '' },
        { inputs: [null] },
        { inputs: nested },
        { inputs: { data: 5 } },
        { parameters: {} },
        { ...example, another: 1 },
        { ...example, parameters: 'none' },
        { ...example, parameters: [] },
        { ...example, parameters: { invented: 1 } },
      ]
      for (const value of values) {
        const what = JSON.stringify(value).slice(0, 100)
        const { error, runs } = await refused({ body: json(value) }, what)
        expectFaultOfCaller(error, what)
        expect(runs, what).toBe(0)
      }
    })

    it('takes bytes of the media types that it names, and of no others', async () => {
      const bodyOf = (mediaType: string, bytes: Uint8Array): TaskBody => ({ kind: 'bytes', mediaType, bytes })
      const noise = Uint8Array.from({ length: 300 }, (_, i) => (i * 7919 + 13) % 251)
      for (const type of task.mediaTypes) {
        const { error, runs } = await refused({ body: bodyOf(type, new Uint8Array(0)) }, `nothing as ${type}`)
        expectFaultOfCaller(error, type)
        expect(error.code, type).not.toBe('unsupported_media_type')
        expect(runs, type).toBe(0)
        const { answer } = await ask({ body: bodyOf(type, noise) })
        await answer.catch((thrown: unknown) => {
          if (!isVergeError(thrown)) throw thrown
          expectFaultOfCaller(thrown, type)
          // a file that is not of its type may be told only by decoding it
          expect(['invalid_image', 'invalid_audio', 'invalid_request', 'unsupported_media_type']).toContain(thrown.code)
        })
      }
      if (given.anyMediaType) return
      const { error, runs } = await refused({ body: bodyOf('application/x-none', noise) })
      expect(error.code).toBe('unsupported_media_type')
      expect(runs).toBe(0)
    })

    it('keeps to the limits that it was made with, before any run', async () => {
      expect(given.passed.length).toBeGreaterThan(0)
      for (const { limits, body = example, code } of given.passed) {
        const what = JSON.stringify(limits)
        await answered({ body: json(body) })
        const { error, runs } = await refused({ body: json(body), limits }, what)
        expect(error.code, what).toBe(code)
        expect(runs, what).toBe(0)
      }
    })

    it('reads in pieces where others wait, and ends with what ends the reading, before any run', async () => {
      const limits = { stepsBetweenPauses: 1 }
      let pieces = 0
      const counted = await answered({
        limits,
        model: {
          async perform(work) {
            pieces++
            return finish(work)
          },
        },
      })
      expect(pieces > 0).toBe(given.performs)
      expect(bytesOf(counted.answer)).toEqual(bytesOf((await answered()).answer))
      if (!given.performs) return
      const gone = new VergeError('cancelled', 'The caller went away.')
      const { error, runs } = await refused({ limits, model: { perform: () => Promise.reject(gone) } })
      expect(error).toBe(gone)
      expect(runs).toBe(0)
    })

    it('passes on what a run and a file of the model end with', async () => {
      const away = new VergeError('deadline_exceeded', 'Too late.')
      expect((await refused({ run: () => Promise.reject(away) })).error).toBe(away)
      if (given.files === undefined) return
      expect((await refused({ model: { file: () => Promise.reject(away) } })).error).toBe(away)
    })

    const { several } = given
    if (several !== undefined) {
      it('says what all of its runs take before the first, and makes none where that is refused', async () => {
        const { limits = {} } = several
        const body = json(several.body ?? example)
        const shapesOf = (
          inputs: ReadonlyMap<string, { readonly shape: readonly number[] }>,
          names: Iterable<string>,
        ) => JSON.stringify([...names].sort().map((input) => [input, inputs.get(input)?.shape]))
        const announced: string[] = []
        let names: readonly string[] = []
        let before = Number.NaN
        const runs: Tensors[] = []
        const { answer } = await ask({
          body,
          limits,
          runs,
          model: {
            checkCost(all) {
              names = [...(all[0]?.keys() ?? [])]
              announced.push(...all.map((inputs) => shapesOf(inputs, names)))
              before = runs.length
            },
          },
        })
        await answer
        expect(before).toBe(0)
        expect(runs.length).toBeGreaterThan(1)
        expect(names.length).toBeGreaterThan(0)
        expect(announced.sort()).toEqual(runs.map((inputs) => shapesOf(inputs, names)).sort())

        const tooHigh = new VergeError('cost_too_high', 'Too much.')
        const refusal = await refused({
          body,
          limits,
          model: {
            checkCost() {
              throw tooHigh
            },
          },
        })
        expect(refusal.error).toBe(tooHigh)
        expect(refusal.runs).toBe(0)
      })
    }

    it('blames the manifest where the model does not answer what its task needs', async () => {
      if (given.compute !== undefined) {
        expect((await refused({ run: async () => new Map() })).error.code).toBe('manifest_invalid')
      }
      const { model, version, schema, artifacts } = manifest
      const bare: Manifest = { model, version, schema, artifacts, task: name, inputs: [], outputs: [] }
      expect((await refused({ manifest: bare, files: {} })).error.code).toBe('manifest_invalid')
    })
  })
}
