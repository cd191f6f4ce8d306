import { join, relative } from 'node:path'
import { type KvNamespaceLike, KvStore } from '../../weights/kv.ts'
import { type R2BucketLike, R2Store } from '../../weights/r2.ts'
import { guardWorkerd } from '../local/guard/guard.ts'
import { withoutItsSignals } from '../terminal/interrupt.ts'
import { withNotedSizes } from './noted-sizes.ts'
import { storageConfig } from './storage-config.ts'
import { type Administrator, auditLogOf, type Target, writerOf } from './target.ts'

/** The bindings of a local Worker, as wrangler and Miniflare hand them out. */
export interface LocalBindings {
  readonly BUCKET: R2BucketLike
  readonly KV: KvNamespaceLike & MetadataLister
}

/** A list tells metadata too, as the binding gives it. */
interface MetadataLister {
  list(options: { prefix: string; limit: number }): Promise<{
    readonly keys: readonly { readonly name: string; readonly metadata?: unknown }[]
  }>
}

/**
 * The R2 and KV that `npm start` and `wrangler dev` read on this machine, whether one of them runs or not.
 * @param persistTo the folder that `wrangler dev --persist-to` names
 */
export async function openLocalTarget(persistTo: string, { by, signing }: Administrator): Promise<Target> {
  // wrangler takes a second to import, and not every command needs it.
  const { getPlatformProxy } = await import('wrangler')
  guardWorkerd()
  const configPath = await storageConfig()
  const proxy = await withoutItsSignals(() =>
    getPlatformProxy<LocalBindings>({
      configPath,
      // getPlatformProxy wants the folder for one version of the state, in which wrangler dev keeps its own.
      persist: { path: join(persistTo, 'v3') },
    }),
  )
  const { truth, copies } = localStores(proxy.env)
  const audit = auditLogOf(truth, by)
  return {
    kind: 'local',
    label: `local storage (${relative(process.cwd(), persistTo) || '.'})`,
    truth,
    copies,
    writer: writerOf(truth, copies, { audit, signing }),
    audit,
    dispose: () => proxy.dispose(),
  }
}

/** Stores over the bindings of a local Worker, and a writer whose changes are not in the audit log. */
export function localStores({ BUCKET, KV }: LocalBindings): Pick<Target, 'truth' | 'copies' | 'writer'> {
  const truth = new R2Store(BUCKET)
  // Miniflare's proxy does not survive that a value is not read to its end, as KvStore leaves it to learn its size
  const copies = [withNotedSizes(new KvStore(KV), (key) => notedSize(KV, key))]
  return { truth, copies, writer: writerOf(truth, copies) }
}

/** The key itself comes first among those that begin with it. */
async function notedSize(kv: MetadataLister, key: string): Promise<{ readonly bytes: number | undefined } | null> {
  const [first] = (await kv.list({ prefix: key, limit: 1 })).keys
  if (first?.name !== key) return null
  const { metadata } = first
  if (typeof metadata !== 'object' || metadata === null || !('bytes' in metadata)) return { bytes: undefined }
  return { bytes: typeof metadata.bytes === 'number' ? metadata.bytes : undefined }
}
