import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { predictedValues, refuseMaps } from './tables/answers.ts'
import { tableRequestFor, tableRequestSchema } from './tables/document.ts'
import { tableLayout, tableTensors } from './tables/layout.ts'
import { readTable, TABLE_MEDIA_TYPES, type Table } from './tables/table.ts'
import type { Task } from './task.ts'

const parametersSchema = z.strictObject({}).meta({ id: 'TabularRegressionParameters' })

const responseSchema = z.array(z.union([z.number(), z.array(z.number())]))

/** A number for each row of a table, as the Hugging Face inference API answers; a list for models that predict several. */
export function tabularRegression(
  limits: Limits,
): Task<Table, { readonly rows: number }, z.infer<typeof responseSchema>> {
  return {
    name: 'tabular-regression',
    mediaTypes: TABLE_MEDIA_TYPES,
    request: tableRequestSchema(parametersSchema, 'TabularRegressionRequest'),
    response: responseSchema,
    example: { inputs: { data: { rooms: [3, 5], area: [61.5, 120] } } },
    forModel: (manifest) => tableRequestFor(manifest, parametersSchema),

    async parse(body, manifest, model) {
      refuseMaps(manifest)
      const { names } = tableLayout(manifest)
      const { table } = await readTable(body, names, parametersSchema, limits, model)
      return { input: table, parameters: { rows: table.rows } }
    },

    async toTensors(table, _parameters, { manifest }) {
      return tableTensors(table, tableLayout(manifest), manifest, limits)
    },

    fromTensors(outputs, { rows }, manifest) {
      return predictedValues(outputs, manifest, rows)
    },
  }
}
