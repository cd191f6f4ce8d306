import type { Attributes, Tracer } from '../../core/tracing.ts'
import type { GetOptions, Store, StoredValue } from '../../weights/store.ts'

/** What keys begin with (docs/architecture.md, "Storage"): the rest of a key may name what nobody else may know of. */
const KINDS: ReadonlySet<string> = new Set([
  'alias',
  'audit',
  'blob',
  'health',
  'key',
  'last-release',
  'manifest',
  'page',
  'removed',
  'sign-in',
  'usage',
])

/**
 * A store whose reads are spans. Of a value that is read as a stream a span has the time until the stream is there.
 * @param name of the spans: `store` for what an origin reads
 */
export function tracedStore(store: Store, name: 'kv' | 'r2' | 'store', tracer: Tracer): Store {
  const { many } = store
  const traced = <T>(operation: string, key: string, read: () => Promise<T>, found: (value: T) => Attributes) =>
    tracer.span(name, { 'db.operation.name': operation, 'verge.store.kind': kindOf(key) }, async (span) => {
      const value = await read()
      span?.set(found(value))
      return value
    })
  const outcome = (value: { readonly bytes: number } | null): Attributes => ({
    'verge.store.outcome': value === null ? 'miss' : 'hit',
  })
  return {
    name: store.name,
    head: (key, options) => traced('head', key, () => store.head(key, options), outcome),
    get: (key, options) =>
      traced(
        'get',
        key,
        () => store.get(key, options),
        (value) => ({ ...outcome(value), ...sizeOf(value, options) }),
      ),
    put: (key, value, options) =>
      traced(
        'put',
        key,
        () => store.put(key, value, options),
        () => ({}),
      ),
    list: (prefix, options) =>
      traced(
        'list',
        prefix,
        () => store.list(prefix, options),
        ({ keys }) => ({ 'verge.store.keys': keys.length }),
      ),
    delete: (key, options) =>
      traced(
        'delete',
        key,
        () => store.delete(key, options),
        () => ({}),
      ),
    ...(many && { many }),
  }
}

function kindOf(key: string): string {
  const [first = ''] = key.split('/', 1)
  return KINDS.has(first) ? first : 'other'
}

/** Of the range that was asked for, or of the whole value. */
function sizeOf(value: StoredValue | null, options: GetOptions | undefined): Attributes {
  return value === null ? {} : { 'verge.store.bytes': options?.range?.length ?? value.bytes }
}
