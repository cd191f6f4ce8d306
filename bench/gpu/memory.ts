import type { Engine } from '../../src/engine/engine.ts'
import { never } from '../../synthetic/source.ts'
import { mega } from '../lib/format.ts'
import type { Device } from './devices.ts'
import type { Row } from './result.ts'
import { type Subject, texts } from './subjects.ts'
import { withModel } from './with-model.ts'

/** The first ones fill arenas and caches that stay. */
const WARM_UP_LOADS = 2
const LOADS = 6
/** A leak of every load would be six models; allocators that round up and keep a piece are well below two. */
const MODELS_ALLOWED = 2

/** Loads a model, runs it and unloads it, again and again: neither the process nor the device may grow. */
export async function checkMemory(
  engine: Engine,
  subject: Pick<Subject, 'name' | 'bytes'>,
  device: () => Promise<Device | undefined>,
): Promise<Row[]> {
  const bytes = await subject.bytes()
  const kept = { bytes: async () => bytes }
  const held = async () => ({
    process: (await engine.health()).heapBytes ?? 0,
    device: (await device())?.usedBytes,
  })
  let before = await held()
  let loaded = before
  for (let load = 0; load < WARM_UP_LOADS + LOADS; load++) {
    if (load === WARM_UP_LOADS) before = await held()
    await withModel(engine, kept, async (session) => {
      await session.run(texts(1, 16).inputs, { signal: never() })
      loaded = await held()
    })
  }
  const after = await held()
  const allowed = MODELS_ALLOWED * bytes.length
  const figures = (['process', 'device'] as const).flatMap((where) => {
    const [first, last, full] = [before[where], after[where], loaded[where]]
    return first === undefined || last === undefined || full === undefined ? [] : [{ where, grown: last - first, full }]
  })
  const leaking = figures.filter(({ grown }) => grown > allowed)
  return [
    {
      what: `${subject.name}, loaded and unloaded ${LOADS} times`,
      note: figures
        .map(
          ({ full, grown, where }) => `${where}: ${mega(full)} with the model loaded, ${mega(grown)} more at the end`,
        )
        .join('; '),
      ...(leaking.length > 0 && {
        fault: leaking
          .map(({ grown, where }) => `the ${where} grew by ${mega(grown)}; ${mega(allowed)} are allowed`)
          .join('; '),
      }),
    },
  ]
}
