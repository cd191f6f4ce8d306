import { AliasLists, IndexedLists, type ModelLists } from '../catalog/index/model-lists.ts'
import { IndexReader } from '../catalog/index/reader.ts'
import { IndexSweep } from '../catalog/index/sweep.ts'
import { IndexWriter } from '../catalog/index/writer.ts'
import type { CatalogReader } from '../catalog/reader.ts'
import type { Store } from '../weights/store.ts'
import type { Shared } from './shared.ts'

/** Lists of models, from the index where there is one. */
export function listsOf(truth: Store, catalog: CatalogReader, shared: Shared): ModelLists {
  return new IndexedLists(new IndexReader(truth, shared), new AliasLists(catalog, shared), shared.logger)
}

/** What keeps the index as the aliases are. */
export function indexOf(truth: Store, shared: Shared): IndexSweep {
  return new IndexSweep(truth, new IndexWriter(truth, shared), shared)
}
