import { isProtocol } from '../protocols/names.ts'

/** The label of a path's first parts: a small vocabulary, whatever is asked for. */
const ROUTES: readonly (readonly [RegExp, string])[] = [
  [/^\/v2\/models\/[^/]+(\/versions\/[^/]+)?\/infer$/, 'infer'],
  [/^\/v1\/chat\/completions$/, 'chat'],
  [/^\/v1\/completions$/, 'completions'],
  [/^\/v1\/embeddings$/, 'embeddings'],
  [/^(\/v1)?\/rerank$/, 'rerank'],
  [/^\/run\//, 'run'],
  [/^\/(models|hf-inference|pipeline)\//, 'huggingface'],
  [/^\/(healthz|v2\/health\/(live|ready))$/, 'health'],
  [/^\/(v1\/models|v2)(\/|$)/, 'metadata'],
]

/** Behind a protocol's prefix the same labels, and that of the protocol for what it alone has. */
export function routeOf(path: string): string {
  const first = path.split('/', 2)[1]
  if (isProtocol(first)) return labelOf(path.slice(first.length + 1)) ?? first
  return labelOf(path) ?? 'other'
}

function labelOf(path: string): string | undefined {
  return ROUTES.find(([pattern]) => pattern.test(path))?.[1]
}
