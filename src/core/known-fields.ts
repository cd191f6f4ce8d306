import type * as z from 'zod'

/** Names of the fields that a schema allows at a path, over all alternatives. Empty if the schema names none. */
export function knownFields(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  return [...fieldSchemas(schema, path).keys()]
}

/** The same with what each of them may be, one schema for each alternative. */
export function fieldSchemas(
  schema: z.ZodType,
  path: readonly PropertyKey[],
): ReadonlyMap<string, readonly z.core.$ZodType[]> {
  const found = new Map<string, z.core.$ZodType[]>()
  collect(schema as unknown as z.core.$ZodTypes, path, found)
  return found
}

function collect(schema: z.core.$ZodTypes, path: readonly PropertyKey[], found: Map<string, z.core.$ZodType[]>): void {
  const { def } = schema._zod
  const go = (inner: z.core.$ZodType, rest = path): void => collect(inner as z.core.$ZodTypes, rest, found)
  switch (def.type) {
    case 'object': {
      const [first, ...rest] = path
      if (first === undefined) {
        for (const [name, field] of Object.entries(def.shape)) found.set(name, [...(found.get(name) ?? []), field])
      } else if (Object.hasOwn(def.shape, first)) go(def.shape[String(first)] as z.core.$ZodType, rest)
      return
    }
    case 'array':
      if (path.length > 0) go(def.element, path.slice(1))
      return
    case 'record':
      if (path.length > 0) go(def.valueType, path.slice(1))
      return
    case 'union':
      for (const option of def.options) go(option)
      return
    case 'pipe':
      go(def.in)
      return
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      go(def.innerType)
      return
    default:
  }
}
