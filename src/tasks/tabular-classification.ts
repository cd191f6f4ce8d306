import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { classificationSchema } from './shared/scores.ts'
import { predictedClasses, refuseMaps, scoredClasses } from './tables/answers.ts'
import { tableRequestFor, tableRequestSchema } from './tables/document.ts'
import { tableLayout, tableTensors } from './tables/layout.ts'
import { readTable, TABLE_MEDIA_TYPES, type Table } from './tables/table.ts'
import type { Task } from './task.ts'

const parametersSchema = z
  .strictObject({
    return_scores: z
      .boolean()
      .optional()
      .meta({ description: 'Answer labels with scores for each row, best first, instead of only the class' }),
    top_k: z.number().int().positive().optional().meta({ description: 'How many labels; implies return_scores' }),
  })
  .meta({ id: 'TabularClassificationParameters' })

type Parameters = z.infer<typeof parametersSchema> & { readonly rows: number }

const responseSchema = z.union([z.array(z.union([z.number(), z.string()])), z.array(classificationSchema)])

/**
 * A class for each row of a table, as the Hugging Face inference API answers: a list of the model's own names of classes,
 * numbers or texts. With `return_scores` a list of labels with scores for each row.
 */
export function tabularClassification(limits: Limits): Task<Table, Parameters, z.infer<typeof responseSchema>> {
  return {
    name: 'tabular-classification',
    mediaTypes: TABLE_MEDIA_TYPES,
    request: tableRequestSchema(parametersSchema, 'TabularClassificationRequest'),
    response: responseSchema,
    example: { inputs: { data: { age: [29, 35], fare: [211.3, 8.05] } } },
    forModel: (manifest) => tableRequestFor(manifest, parametersSchema),

    async parse(body, manifest, model) {
      refuseMaps(manifest)
      const { names } = tableLayout(manifest)
      const { table, parameters } = await readTable(body, names, parametersSchema, limits, model)
      return { input: table, parameters: { ...parameters, rows: table.rows } }
    },

    async toTensors(table, _parameters, { manifest }) {
      return tableTensors(table, tableLayout(manifest), manifest, limits)
    },

    fromTensors(outputs, { return_scores, top_k, rows }, manifest) {
      if (!(return_scores ?? top_k !== undefined)) return predictedClasses(outputs, manifest, rows)
      const most = top_k ?? Number.POSITIVE_INFINITY
      return scoredClasses(outputs, manifest, rows, { most, mostTogether: limits.tableCells })
    },
  }
}
