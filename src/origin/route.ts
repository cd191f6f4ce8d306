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

export function routeOf(path: string): string {
  return ROUTES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other'
}
