import * as z from 'zod'

/** A JSON Schema in the dialect of OpenAPI 3.1, which is JSON Schema 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** The content of a JSON body. */
export function jsonContent(schema: JsonSchema): JsonSchema {
  return { 'application/json': { schema } }
}

/** A JSON body that a request must have. */
export function jsonBody(schema: JsonSchema): JsonSchema {
  return { required: true, content: jsonContent(schema) }
}

/** An answer in JSON. */
export function jsonAnswer(schema: JsonSchema, description: string): JsonSchema {
  return { description, content: jsonContent(schema) }
}

const LOCAL = '#/$defs/'
const SHARED = '#/components/schemas/'

/** Collects the schemas that validate as components of a document: those with an id once, by reference. */
export class SchemaSet {
  readonly #components = new Map<string, JsonSchema>()

  /** What stands for a schema where it is used. */
  use(schema: z.ZodType): JsonSchema {
    const { $schema: _, $defs = {}, ...root } = z.toJSONSchema(schema, { io: 'input' })
    for (const [id, definition] of Object.entries($defs)) this.#components.set(id, share(definition))
    const id = z.globalRegistry.get(schema)?.id
    if (id === undefined) return share(root)
    if (!Object.hasOwn($defs, id)) this.#components.set(id, share(root))
    return { $ref: SHARED + id }
  }

  /** What an answer of this schema is sent as: JSON, unless the schema says that it is something else. */
  mediaType(schema: z.ZodType): string {
    const named = z.globalRegistry.get(schema)?.contentMediaType
    return typeof named === 'string' ? named : 'application/json'
  }

  components(): Record<string, JsonSchema> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}

/** Points references at the document's components. */
function share(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' && value.startsWith(LOCAL) ? SHARED + value.slice(LOCAL.length) : value,
  )
}
