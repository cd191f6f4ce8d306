import { beforeEach, describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import type { CallContext } from '../../src/inference/call.ts'
import type { Models, Readiness, ResolvedModel, Runner } from '../../src/serving/serving.ts'

/** A model whose outputs "y" and "z" are its inputs "x" and "w", in versions 1 and 2, of which 2 is live. */
export const COPIES = {
  inputs: [
    { name: 'x', datatype: 'FP32' as const, shape: [-1] },
    { name: 'w', datatype: 'FP32' as const, shape: [-1] },
  ],
  outputs: [
    { name: 'y', datatype: 'FP32' as const, shape: [-1] },
    { name: 'z', datatype: 'FP32' as const, shape: [-1] },
  ],
}

/** A model that continues every prompt with the numbers from 1 on. */
export const COUNTS = {
  task: 'text-generation' as const,
  inputs: [{ name: 'input_ids', datatype: 'INT64' as const, shape: [-1, -1] }],
  outputs: [],
  generation: { contextLength: 64, stopTokens: [63] },
}

export const WORDS = new TextEncoder().encode('a b c')

export interface ServingUnderTest {
  readonly models: Models
  readonly readiness: Readiness
  /** What runs a model for one request. */
  runnerOf(model: ResolvedModel, context: CallContext): Promise<Runner>
}

/**
 * What every serving keeps to, whatever it is made of.
 * @param setUp makes one with the models "copies" (with the file "words.txt") and "counts", both public
 * @param writes false where texts are not written by tensors
 */
export function servingContract(name: string, setUp: () => Promise<ServingUnderTest>, { writes = true } = {}): void {
  describe(`${name}, as a serving`, () => {
    let given: ServingUnderTest
    const controller = new AbortController()
    const context: CallContext = { requestId: 'r', signal: controller.signal, runsBefore: 0, waitUntil: () => {} }
    const inputs: Tensors = new Map([
      ['x', tensor('FP32', [2], Float32Array.of(1, 2))],
      ['w', tensor('FP32', [1], Float32Array.of(3))],
    ])

    beforeEach(async () => {
      given = await setUp()
    })

    async function resolved(model = 'copies', version?: string): Promise<ResolvedModel> {
      const alias = await given.models.alias(model, context)
      if (alias === null) throw new Error('There is no such model.')
      return given.models.resolve(alias, version, context)
    }

    async function run(outputs?: readonly string[], own = context) {
      const model = await resolved()
      const runner = await given.runnerOf(model, own)
      return runner.run(model, inputs, outputs, own)
    }

    it('has no alias for a model that does not exist', async () => {
      expect(await given.models.alias('missing', context)).toBeNull()
    })

    it('lists all models, a part at a time', async () => {
      const query = { scope: { tree: 'all', sees: () => true }, limit: 1, manifests: true } as const
      const first = await given.models.list(query, context)
      expect(first).toMatchObject({ entries: [{ model: 'copies', main: { version: '2' } }], next: 'copies' })
      const rest = await given.models.list({ ...query, after: 'copies' }, context)
      expect(rest).toMatchObject({ entries: [{ model: 'counts' }] })
      expect(rest.next).toBeUndefined()
    })

    it('resolves the live version, or the one that is asked for', async () => {
      expect((await resolved()).manifest.version).toBe('2')
      expect((await resolved('copies', '1')).manifest).toMatchObject({ model: 'copies', version: '1' })
      await expect(resolved('copies', '9')).rejects.toMatchObject({ code: 'version_not_found' })
    })

    it('parses a file of the manifest, and has no other', async () => {
      const model = await resolved()
      const parse = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
      expect(await given.models.file(model, { name: 'words.txt', parse }, context)).toBe('a b c')
      await expect(given.models.file(model, { name: 'toString', parse }, context)).rejects.toMatchObject({
        code: 'manifest_invalid',
      })
    })

    it('answers a run with all outputs, in the order of the model', async () => {
      const { outputs } = await run()
      expect([...outputs].map(([name, { data, shape }]) => [name, shape, [...data]])).toEqual([
        ['y', [2], [1, 2]],
        ['z', [1], [3]],
      ])
    })

    it.each([[['z', 'y']], [['z']]])('answers a run with exactly the outputs %j, in that order', async (names) => {
      expect([...(await run(names)).outputs.keys()]).toEqual(names)
    })

    it('says of a run how it began, where it was made and how long it took', async () => {
      const { artifact, origin, place = 'edge', start, timings } = await run()
      expect(['warm', 'cold']).toContain(start)
      // Either our own artifact ran, or an origin that is named.
      expect(artifact === undefined).toBe(place === 'origin' && origin !== undefined)
      for (const ms of Object.values(timings)) expect(ms).toBeGreaterThanOrEqual(0)
    })

    it('runs nothing for a caller who has left', async () => {
      const signal = AbortSignal.abort(new VergeError('cancelled', 'Left.'))
      await expect(run(undefined, { ...context, signal })).rejects.toMatchObject({ code: 'cancelled' })
    })

    it('is ready for a model that it can run, and healthy', async () => {
      expect(await given.readiness.ready(await resolved())).toBe(true)
      expect((await given.readiness.health()).ok).toBe(true)
    })

    if (!writes) return

    async function written(maxNewTokens: number) {
      const model = await resolved('counts')
      const runner = await given.runnerOf(model, context)
      const options = { stopTokens: new Set<number>(), maxNewTokens, choose: () => 0, signal: context.signal }
      return runner.generate(model, [5], options, context)
    }

    it('writes as many tokens as are asked for', async () => {
      const tokens: number[] = []
      for await (const token of (await written(3)).tokens) tokens.push(token)
      expect(tokens).toEqual([1, 2, 3])
    })

    it('ends a text that is left, and writes the next', async () => {
      const { tokens } = await written(50)
      expect(await tokens.next()).toMatchObject({ value: 1 })
      await tokens.return?.()
      expect(await tokens.next()).toMatchObject({ done: true })
      expect(await (await written(1)).tokens.next()).toMatchObject({ value: 1 })
    })

    it('writes no texts with a model that cannot', async () => {
      const model = await resolved()
      const runner = await given.runnerOf(model, context)
      const options = { stopTokens: new Set<number>(), maxNewTokens: 1, choose: () => 0, signal: context.signal }
      const first = async () => (await runner.generate(model, [5], options, context)).tokens.next()
      await expect(first()).rejects.toMatchObject({ code: 'engine_unsupported' })
    })
  })
}
