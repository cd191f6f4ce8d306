import { PROTOCOLS, type ProtocolName } from '../../protocols/names.ts'
import type { Address } from '../address.ts'
import { ADDRESSES } from '../addresses.ts'
import { type JsonSchema, jsonAnswer, jsonBody } from './schemas.ts'

/** Their paths are written by hand, or are other names of such. */
const WRITTEN: readonly ProtocolName[] = ['verge', 'huggingface']

/**
 * Addresses of other services' protocols that work, by what the table says of them: their bodies are those services' own to
 * describe. A path that does not always answer at the root stands behind its prefix.
 * @param known paths that are described
 */
export function otherPaths(known: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const protocol of PROTOCOLS.filter((name) => !WRITTEN.includes(name))) {
    for (const address of ADDRESSES[protocol].filter(({ state }) => state === 'works')) {
      const path = pathOf(protocol, address)
      const item = known[path]
      const method = address.method.toLowerCase()
      if (item !== undefined && method in item) continue
      paths[path] = { ...item, ...parametersOf(path), ...paths[path], [method]: operation(protocol, address) }
    }
  }
  return paths
}

function pathOf(protocol: ProtocolName, { path, root }: Address): string {
  const written = path.replaceAll('...}', '}')
  return root === 'always' ? written : `/${protocol}${written === '/' ? '' : written}`
}

function parametersOf(path: string): JsonSchema {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  if (names.length === 0) return {}
  return { parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })) }
}

function operation(protocol: ProtocolName, { method, path, what }: Address): JsonSchema {
  return {
    operationId: `${protocol}_${method}_${path}`
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/_$/, ''),
    tags: [protocol === 'oip' ? 'open inference protocol' : protocol],
    summary: what,
    ...(method === 'POST' && { requestBody: jsonBody({ type: 'object' }) }),
    responses: {
      200: { description: 'As the protocol has it' },
      default: jsonAnswer({ type: 'object' }, "A failure in the protocol's own shape"),
    },
  }
}
