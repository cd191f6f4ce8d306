import type { Alias } from '../../catalog/alias.ts'
import type { ModelLists } from '../../catalog/index/model-lists.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import type { Tracer } from '../../core/tracing.ts'

/** What finds models: the part of `CatalogReader` that serving uses. */
export interface Catalog {
  alias(model: string, signal?: AbortSignal): Promise<Alias | null>
  manifest(model: string, version: string, digest: string, signal?: AbortSignal): Promise<Manifest>
  kept(): readonly Manifest[]
}

/** A catalogue whose reads are spans: from memory, or with a span of a store below. A model's name is said where there is one. */
export function tracedCatalog(catalog: Catalog, tracer: Tracer): Catalog {
  return {
    alias: (model, signal) =>
      tracer.span('alias', {}, async (span) => {
        const alias = await catalog.alias(model, signal)
        if (alias !== null) span?.set({ 'verge.model': alias.model })
        return alias
      }),
    manifest: (model, version, digest, signal) =>
      tracer.span('manifest', { 'verge.model': model, 'verge.version': version }, () =>
        catalog.manifest(model, version, digest, signal),
      ),
    kept: () => catalog.kept(),
  }
}

/** Lists whose parts are spans. */
export function tracedLists(lists: ModelLists, tracer: Tracer): ModelLists {
  return { page: (query, signal) => tracer.span('list', {}, () => lists.page(query, signal)) }
}
