import * as z from 'zod'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError } from '../../core/errors.ts'
import type { Datatype } from '../../core/tensors.ts'
import type { ModelRequest } from '../task.ts'
import { type TableLayout, tableExample, tableLayout } from './layout.ts'

const DESCRIPTION = 'Columns by their names, all of the same length; or a list of rows'

/** Columns whose types a document lists; a wider table would be most of it. */
const MOST_LISTED = 100

const cellSchema = z.union([z.number(), z.string(), z.boolean(), z.null()])

/** A request with a table of any columns. What is sent is checked cell by cell, against the model's own. */
export function tableRequestSchema(parameters: z.ZodType, id: string): z.ZodType {
  const data = z.record(z.string(), z.array(cellSchema))
  const row = z.record(z.string(), cellSchema)
  return requestOf(data, row, parameters).meta({ id })
}

/** The request of one model, with its columns; undefined where its columns are not right, or too many. */
export function tableRequestFor(manifest: Manifest, parameters: z.ZodType): ModelRequest | undefined {
  let layout: TableLayout
  try {
    layout = tableLayout(manifest)
  } catch (error) {
    if (isVergeError(error, 'manifest_invalid')) return undefined
    throw error
  }
  if (layout.names.length > MOST_LISTED) return undefined
  const cells = layout.inputs.flatMap(({ datatype, columns }) =>
    columns.map(({ name, missing }) => [name, cellOf(datatype, missing !== undefined)] as const),
  )
  const data = z.strictObject(Object.fromEntries(cells.map(([name, cell]) => [name, z.array(cell)])))
  const row = z.strictObject(Object.fromEntries(cells))
  return { request: requestOf(data, row, parameters), example: tableExample(manifest, layout) }
}

function requestOf(data: z.ZodType, row: z.ZodType, parameters: z.ZodType): z.ZodType {
  return z.strictObject({
    inputs: z.union([z.strictObject({ data }), z.array(row)]).meta({ description: DESCRIPTION }),
    parameters: parameters.optional(),
  })
}

/** Numbers may come as texts: Hugging Face's clients send nothing else. */
function cellOf(datatype: Datatype, mayBeEmpty: boolean): z.ZodType {
  const cell = typed(datatype)
  return mayBeEmpty ? z.union([cell, z.null()]) : cell
}

function typed(datatype: Datatype): z.ZodType {
  if (datatype === 'BYTES') return z.string()
  if (datatype === 'BOOL') return z.union([z.boolean(), z.literal(0), z.literal(1), z.string()])
  return z.union([datatype.startsWith('FP') ? z.number() : z.number().int(), z.string()])
}
