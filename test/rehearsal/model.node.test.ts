import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { readHeader, readPlanJson, writeArtifact } from '../../src/engine/verge/artifact.ts'
import { checkPlan } from '../../src/engine/verge/check.ts'
import type { Plan } from '../../src/engine/verge/plan.ts'
import { rehearsalPlan } from '../../src/rehearsal/model.ts'

/** Operators, and what they do and what they take where that decides the kernel. */
const codeOf = ({ steps }: Plan): ReadonlySet<string> =>
  new Set(
    steps.map(
      ({ op, with: attributes }) => `${op} ${attributes?.kind ?? ''}${attributes?.grid === undefined ? '' : ' grid'}`,
    ),
  )

/** The plan of a packed model's artifact for Verge's own engine. */
async function planOf(model: string): Promise<Plan> {
  const { manifest, chunks } = await packFolder(join(ROOT, 'models', model))
  const artifact = manifest.artifacts.find(({ format }) => format === 'verge')
  const bytes = chunks.get(artifact?.chunks[0]?.sha256 ?? '') as Uint8Array
  const header = readHeader(bytes)
  return checkPlan(readPlanJson(bytes, header), header.imageBytes)
}

describe("the rehearsal's model", () => {
  const { plan, imageBytes } = rehearsalPlan()

  it('is an artifact that the engine takes', () => {
    const { bytes } = writeArtifact(plan, imageBytes)
    const header = readHeader(bytes)
    expect(checkPlan(readPlanJson(bytes, header), header.imageBytes).steps).toHaveLength(plan.steps.length)
    expect(bytes.length).toBeLessThan(64 * 1024)
  })

  it.each(['digits', 'reviews'])('does all that %s does', async (model) => {
    const rehearsed = codeOf(plan)
    const needed = codeOf(await planOf(model))
    expect(needed.size).toBeGreaterThan(3)
    expect([...needed].filter((code) => !rehearsed.has(code))).toEqual([])
  })

  it('does what an encoder does', () => {
    for (const op of ['gather-rows', 'layer-norm', 'linear-int8', 'attention', 'cast']) {
      expect([...codeOf(plan)].some((code) => code.startsWith(`${op} `))).toBe(true)
    }
  })
})
