import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { referenceSession } from '../../../src/cli/verify/reference.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'
import type { Session } from '../../../src/engine/engine.ts'
import { decodeModel, encodeModel } from '../../../src/onnx/codec.ts'
import { trimVocabulary } from '../../../src/quantize/trim/trim-vocabulary.ts'
import { never } from '../../../synthetic/source.ts'

const FOLDER = join(ROOT, 'test/fixtures/exports')
const ROWS = 64
/** The numbers of special tokens stay; most of the others move. */
const KEPT = Int32Array.from({ length: ROWS }, (_, id) => id).filter((id) => id < 4 || id % 3 === 0 || id > 60)
/** Padding (1 for RoBERTa) and the last token (the end of CLIP's texts) are among them. */
const NEW = [0, 5, 9, 2, 14, 7, KEPT.length - 1, 3, 1, 1]

const models = readdirSync(FOLDER).flatMap((name) => {
  if (!name.endsWith('.onnx.gz')) return []
  const bytes = new Uint8Array(gunzipSync(readFileSync(join(FOLDER, name))))
  const model = decodeModel(bytes)
  return model.graph?.input.some((input) => input.name === 'input_ids') ? [{ name, bytes, model }] : []
})

async function answers(session: Session, ids: readonly number[]): Promise<Map<string, Tensor>> {
  const values = new Map([
    ['input_ids', ids],
    ['attention_mask', ids.map((_, at) => (at < 8 ? 1 : 0))],
    ['token_type_ids', ids.map(() => 0)],
  ])
  const inputs = session.signature.inputs.map(({ datatype, name }) => {
    const numbers = values.get(name) ?? []
    const data = datatype === 'INT32' ? Int32Array.from(numbers) : BigInt64Array.from(numbers, BigInt)
    return [name, tensor(datatype === 'INT32' ? 'INT32' : 'INT64', [1, ids.length], data)] as const
  })
  return new Map(await session.run(new Map(inputs), { signal: never() }))
}

describe('exports of texts trimmed', () => {
  it.each(models)('$name', async ({ bytes, model }) => {
    const trimmed = await trimVocabulary(model, { input: 'input_ids', kept: KEPT, signal: never() })
    expect(trimmed.tables.map(({ rows }) => rows)).toEqual([ROWS])
    // Comparisons with the numbers of padding and of ends are the only other use of them.
    expect(trimmed.mapped).toBe(false)
    const before = await referenceSession(bytes, never())
    const after = await referenceSession(encodeModel(trimmed.model), never())
    try {
      const old = NEW.map((id) => KEPT[id] ?? 0)
      const expected = await answers(before, old)
      expect(await answers(after, NEW)).toEqual(expected)
      const others = await answers(before, NEW)
      expect(others).not.toEqual(expected)
    } finally {
      before.dispose()
      after.dispose()
    }
  })

  it('are many', () => {
    expect(models.length).toBeGreaterThan(15)
  })
})
