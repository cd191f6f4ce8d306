import type { Artifact, Blob } from '../../catalog/manifest.ts'
import type { PagesFile, PageTable } from '../../compile/paged.ts'
import { answerOf } from './answer.ts'
import type { ArtifactDescription, Description } from './description.ts'
import { fixedRun } from './fixed-run.ts'
import { compileForEdge, excessOf, pagesNote } from './pages/compile-for-edge.ts'
import { differenceOf } from './same-answer.ts'

export interface CompilePacking {
  /** @param between where chunks may be cut: at multiples of it */
  store(bytes: Uint8Array, between?: number): Blob
  /** Which tables can be read by page, and how. */
  readonly pageTable: PageTable
  readonly notes: string[]
}

/** What Verge's own engine runs, where it can. What a run costs was measured on it, or follows from the plan. */
export async function compiledArtifact(
  { file, dtype, cost, accuracy }: ArtifactDescription,
  bytes: Uint8Array,
  description: Description,
  { store, notes, pageTable }: CompilePacking,
): Promise<Artifact[]> {
  const compilation = await compileForEdge(bytes, description, pageTable)
  if (!compilation.ok) {
    notes.push(`${file}: ${compilation.note}`)
    return []
  }
  const {
    bytes: compiled,
    cost: counted,
    leastRunBytes: _,
    pages,
    roundsFreely,
    runtime,
    ...memory
  } = compilation.model
  const excess = excessOf(compilation.model)
  if (excess !== undefined) {
    notes.push(`${file}: too large for Verge's own engine: ${excess}`)
    return []
  }
  const { signal } = new AbortController()
  const run = await fixedRun(bytes, compilation.model, signal)
  const difference = run && (await differenceOf(run, bytes, { dtype, signal }))
  if (difference !== undefined) {
    notes.push(`${file}: runs on ONNX Runtime: Verge's own engine answers otherwise: ${difference}`)
    return []
  }
  const note = pagesNote(compilation.model, description)
  if (note !== undefined) notes.push(`${file}: ${note}`)
  if (roundsFreely) {
    notes.push(
      `${file}: its products round as the processor does: answers differ in their last bits (--same-bits is slower)`,
    )
  }
  const answer = run && answerOf(run)
  return [
    {
      id: `verge-${dtype}`,
      format: 'verge',
      dtype,
      places: ['edge'],
      runtime,
      ...memory,
      ...((cost ?? counted) && { cost: cost ?? counted }),
      ...(roundsFreely && { rounding: 'processor' as const }),
      ...(answer && { answer }),
      ...(accuracy && { accuracy }),
      ...(pages && { pages: { ...store(pages.bytes, pages.tables[0]?.pageBytes), tables: tablesOf(pages) } }),
      ...store(compiled),
    },
  ]
}

function tablesOf({ tables }: PagesFile): NonNullable<Artifact['pages']>['tables'] {
  return tables.map(({ offset, pageBytes, pages }) => ({ offset, pageBytes, pages }))
}
