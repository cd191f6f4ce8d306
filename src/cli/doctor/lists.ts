import type { Store } from '../../weights/store.ts'
import { indexSweepOf } from '../target/target.ts'
import { counted } from '../terminal/format.ts'
import { type Check, ok, warn } from './check.ts'

const AREA = 'lists'
const REINDEX = 'The cron trigger corrects it within minutes. To do so now: npx verge models --reindex --env NAME'

/** Whether the index that lists are read from is as the aliases are. @throws store_unavailable */
export async function checkIndex(truth: Store): Promise<Check[]> {
  const { differing, head, lostPages, models } = await indexSweepOf(truth).compare()
  if (models === 0) return []
  if (head === 'newer') return [warn(AREA, 'a newer Verge wrote the index of lists', 'Install that version here.')]
  if (head === 'missing') return [warn(AREA, 'there is no index: lists read each model', REINDEX)]
  if (head === 'damaged')
    return [
      warn(AREA, `the index is damaged: ${counted(lostPages, 'page')} missing, and lists read each model`, REINDEX),
    ]
  if (head === 'incomplete') return [warn(AREA, 'the index is not whole yet, and lists read each model', REINDEX)]
  if (differing.length > 0)
    return [warn(AREA, `the index lags behind ${counted(differing.length, 'model')} of ${models}`, REINDEX)]
  return [ok(AREA, `the index has ${counted(models, 'model')}, as their aliases are`)]
}
