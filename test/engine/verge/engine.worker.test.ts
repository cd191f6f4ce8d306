import { describe, expect, it } from 'vitest'
import { silentLogger, systemClock } from '../../../src/core/runtime.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { workerKernels } from '../../../src/engine/verge/binary.ts'
import { hasRelaxedSimd } from '../../../src/engine/verge/capabilities.ts'
import { VergeEngine } from '../../../src/engine/verge/engine.ts'
import plain from '../../../src/engine/verge/kernels/plain.wasm'
import relaxed from '../../../src/engine/verge/kernels/relaxed.wasm'
import { artifactOf, never, pagesOf, sourceOf } from '../../../synthetic/source.ts'
import { encoderPlan, SMALL_ENCODER, tokenIds } from '../../../synthetic/verge-encoder.ts'
import { engineContract } from '../../contract/engine.ts'
import { pagedPlan } from '../../fixtures/verge-paged.ts'
import { VERGE_SUBJECTS } from '../../fixtures/verge-subjects.ts'

const MiB = 1024 * 1024

function makeEngine(kernels: WebAssembly.Module): VergeEngine {
  return new VergeEngine({
    kernels,
    heapLimitBytes: 32 * MiB,
    turnLeaseMs: 1000,
    costBetweenYields: 1,
    workBetweenYields: 1_000_000,
    pageBytes: MiB,
    pageCacheBytes: MiB,
    pageBytesInFlight: MiB,
    heldRowBytes: MiB,
    heldRowsLeaseMs: 30_000,
    runs: { finished: 0 },
    loadStaleMs: 5000,
    clock: systemClock,
    logger: silentLogger,
  })
}

const engines = { relaxed: makeEngine(relaxed), plain: makeEngine(plain) }

engineContract('verge in workerd', () => engines.relaxed, { subjects: VERGE_SUBJECTS })
engineContract('verge in workerd without relaxed SIMD', () => engines.plain, { subjects: VERGE_SUBJECTS })

describe('verge engine in workerd', () => {
  it('takes the build with relaxed SIMD, because the runtime has it', () => {
    expect(hasRelaxedSimd()).toBe(true)
    expect(workerKernels()).toBe(relaxed)
  })

  it('gives the same bits in both builds, with yields between the steps', async () => {
    const bytes = encoderPlan(SMALL_ENCODER).artifact()
    const inputs = new Map([
      ['input_ids', tensor('INT64', [2, 30], BigInt64Array.from(tokenIds(60, SMALL_ENCODER.words, 3)))],
      [
        'attention_mask',
        tensor(
          'INT64',
          [2, 30],
          BigInt64Array.from({ length: 60 }, (_, at) => (at < 50 ? 1n : 0n)),
        ),
      ],
    ])
    const answers = []
    for (const engine of Object.values(engines)) {
      const session = await engine.load(await artifactOf(bytes, 'verge'), sourceOf(bytes), { signal: never() })
      answers.push(await session.run(inputs, { signal: never() }))
      session.dispose()
    }
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.get('sentence')?.shape).toEqual([2, SMALL_ENCODER.width])
  })

  it('reads rows of tables in pages, once, and gives the same bits in both builds', async () => {
    const { writer, file } = await pagedPlan()
    const bytes = writer.artifact()
    const inputs = new Map([
      ['ids', tensor('INT64', [1, 6], BigInt64Array.of(0n, 7n, -1n, 5n, 7n, 11n))],
      ['kinds', tensor('INT32', [1, 6], Int32Array.of(3, 3, 0, -12, 8, 1))],
    ])
    const answers = []
    for (const engine of Object.values(engines)) {
      const pages = pagesOf(file)
      const source = { ...sourceOf(bytes), pages }
      const session = await engine.load(await artifactOf(bytes, 'verge'), source, { signal: never() })
      for (let run = 0; run < 2; run++) answers.push(await session.run(inputs, { signal: never() }))
      expect(pages.rounds.length).toBe(1)
      session.dispose()
    }
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(answers[0]?.get('y')?.data).not.toEqual(new Float32Array(54))
  })
})
