import type { PageTable } from '../../../compile/paged.ts'
import { LIMITS } from '../../../core/limits.ts'
import { type Compilation, type CompiledModel, compileFile } from '../compiled.ts'
import type { Description } from '../description.ts'

/**
 * Compiles a file with its large tables in pages: always if the description says so, otherwise where an isolate could not hold
 * the model with them. A model that fits answers sooner with its whole table in memory.
 */
export async function compileForEdge(
  bytes: Uint8Array,
  { pages = 'auto', sameBits }: Pick<Description, 'pages' | 'sameBits'>,
  paged: PageTable,
): Promise<Compilation> {
  if (pages === 'off') return compileFile(bytes, { sameBits })
  const compilation = await compileFile(bytes, { sameBits, paged })
  const isPaged = compilation.ok && compilation.model.pages !== undefined
  return isPaged && pages === 'auto' && fitsWhole(compilation.model) ? compileFile(bytes, { sameBits }) : compilation
}

function fitsWhole({ leastRunBytes = 0, memoryBytes, pages }: CompiledModel): boolean {
  return excessOf({ memoryBytes: memoryBytes + (pages?.bytes.length ?? 0), leastRunBytes }) === undefined
}

/** What of a model is more than an isolate has, for a sentence; undefined where it fits. */
export function excessOf({ leastRunBytes = 0, memoryBytes }: Pick<CompiledModel, 'leastRunBytes' | 'memoryBytes'>) {
  if (memoryBytes > LIMITS.sessionBudgetBytes)
    return excess(`its weights take ${memoryBytes}`, LIMITS.sessionBudgetBytes)
  if (memoryBytes + leastRunBytes > LIMITS.ownWorkingBytes)
    return excess(`its weights and its smallest run take ${memoryBytes + leastRunBytes}`, LIMITS.ownWorkingBytes)
  return undefined
}

function excess(what: string, most: number): string {
  return `${what} bytes of memory, and an isolate has ${most}`
}

/** What the person is told of a model's tables. */
export function pagesNote({ pages }: CompiledModel, { pages: asked }: Pick<Description, 'pages'>): string | undefined {
  if (pages === undefined) return asked === 'on' ? NONE : undefined
  const tables = pages.tables.map(
    ({ hot, pageBytes, pages: count, rows }) =>
      `${hot} of ${rows} rows of its table stay in memory, and the others are read in ${count} pages of ${pageBytes} bytes`,
  )
  return `${tables.join('; ')} (docs/tasks/text.md)`
}

const NONE =
  'no table is read by page: it has none of 4 MiB of which it only looks up rows by an input. An output table that is tied to the input table is not read by page'
