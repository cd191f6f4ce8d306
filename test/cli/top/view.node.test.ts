import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { SORTS } from '../../../src/cli/top/rates.ts'
import { width } from '../../../src/cli/top/text.ts'
import { type ViewOptions, viewOf } from '../../../src/cli/top/view.ts'
import type { OperationsBody } from '../../../src/protocols/verge/operations.ts'
import { NOTHING_READ, OPERATIONS } from '../../fixtures/operations.ts'

const OPTIONS: ViewOptions = {
  columns: 80,
  rows: 24,
  colour: false,
  sort: 'requests',
  address: 'http://127.0.0.1:8787',
  keys: true,
}

const shown = (body: OperationsBody, options: Partial<ViewOptions> = {}) => viewOf(body, { ...OPTIONS, ...options })

describe('the view of operations', () => {
  it('has everything in a terminal of 80 x 24', () => {
    expect(shown(OPERATIONS).join('\n')).toMatchInlineSnapshot(`
      "CRITICAL  verge 1.2.3 at http://127.0.0.1:8787  20:15:00 UTC  heap 41 %  cpu 2 %
      12.2 requests/s  0.3 % failed  24.3 units/s  0 tokens/s  3 isolates  12 lost
      last hour  ▁▁▁▁▁▁▁▂▂▂▂▂▂▂▃▃▃▃▃▃▃▃▄▄▄▄▄▄▄▅▅▅▅▅▅▅▆▆▆▆▆▆▆▆▇▇▇▇▇▇▇████████ 590/min
      !! 8.0 % of the last five minutes' 150 requests to reviews failed.
         The logs have the reason by request id. After a release, go back: npx verge …
      !  This report is not complete: cost.
         Figures are missing or too small. "npx verge doctor" checks the bindings.
      Models by requests, 4 more not listed
      model                 req/s err % unit/s p50 ms p95 ms    today live
      digits                   10   0.0     20   3.20     11  $0.0123 1=95 2=5
        canary 2 against 1, 5 % of requests, 50 % compared, 0.0 % failed, watching
      reviews                0.50   8.0      1     40   2500    $1.50 4
        version 5 was taken out: more errors
      voice                     0     -      0      -      -        - 1
      Cost today $1.51, this month $42.00
      shop (key:4f6h2k8m0p2r)          120k requests    $1.41 31 errors  94 % of usd/…
      anonymous                         900 requests  $0.0021
      Origins
      frankfurt            up               12 ms queue 3 cuda
      virginia             down (4 probes)  breaker half-open the connection was refu…
      Changes
      11-30 19:55 anna         release alias/digits live: 1 -> 1=95 2=5
      11-29 19:15 ben          key-create key/4f6h2k8m0p2r name: shop
      q quit   sort by: r requests  e errors  u units  l latency  c cost  n name"
    `)
  })

  it('says what is not known', () => {
    expect(shown(NOTHING_READ).join('\n')).toMatchInlineSnapshot(`
      "WARNING  verge 1.2.3 at http://127.0.0.1:8787  20:15:00 UTC
      Traffic: not known
      !  This report is not complete: cost.
         Figures are missing or too small. "npx verge doctor" checks the bindings.
         cost: There are more callers than this report reads.
      Models by requests
      model                 req/s err % unit/s p50 ms p95 ms    today live
      not known
      Cost and callers: not known
      Origins
      not known
      Changes
      not known
      q quit   sort by: r requests  e errors  u units  l latency  c cost  n name"
    `)
  })

  it('prints all there is where there is no end', () => {
    const models = Array.from({ length: 60 }, (_, index) => ({
      model: `model-${String(index).padStart(2, '0')}`,
      live: [],
      traffic: null,
      versions: [],
    }))
    const lines = shown({ ...OPERATIONS, models }, { rows: Number.POSITIVE_INFINITY, keys: false })
    expect(lines.filter((line) => line.startsWith('model-'))).toHaveLength(60)
    const isolates = lines.indexOf('Isolates, least / median / most: heap 5 % / 40 % / 78 %, cpu 0 % / 1 % / 5 %')
    expect(lines.slice(isolates + 1, isolates + 3)).toEqual([
      '7f3a9c01   heap 78 %  cpu 5 %  at 20:14:56',
      '0b52d7e4   heap 40 %  cpu -  at 20:13:50',
    ])
    expect(lines.at(-1)).toContain('key-create')
  })

  it('gives models what room there is, and counts those that have none', () => {
    const models = Array.from({ length: 60 }, (_, index) => ({
      model: `model-${String(index).padStart(2, '0')}`,
      live: [],
      traffic: null,
      versions: [],
    }))
    const lines = shown({ ...OPERATIONS, alerts: [], models }, { rows: 40 })
    expect(lines).toHaveLength(40)
    expect(lines[3]).toBe('Models by requests, 4 more not listed (25 of 60)')
    expect(lines.filter((line) => line.startsWith('model-'))).toHaveLength(25)
    expect(lines.at(-2)).toContain('key-create')
  })

  it('fits every terminal, whatever names are in it', () => {
    const [digits] = OPERATIONS.models ?? []
    const [caller] = OPERATIONS.callers ?? []
    const body: OperationsBody = {
      ...OPERATIONS,
      models: digits ? [{ ...digits, model: 'm'.repeat(64) }] : [],
      callers: caller
        ? [
            { ...caller, name: '店'.repeat(40) },
            { ...caller, name: 'e\u0301vil\u001b[2J\u202e' },
          ]
        : [],
    }
    for (const columns of [1, 8, 20, 40, 79, 80, 132]) {
      for (const rows of [1, 3, 6, 12, 24, 60]) {
        const lines = shown(body, { columns, rows, stale: 'No Worker answers.' })
        expect(lines.length).toBeLessThanOrEqual(rows)
        for (const line of lines) {
          expect(width(line), line).toBeLessThanOrEqual(columns)
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
        }
      }
    }
  })

  it.each(SORTS)('sorts models by %s', (sort) => {
    const names = shown(OPERATIONS, { sort, rows: 60 }).flatMap(
      (line) => /^(digits|reviews|voice) /.exec(line)?.[1] ?? [],
    )
    const reviewsFirst = ['errors', 'latency', 'cost'].includes(sort)
    expect(names).toEqual(reviewsFirst ? ['reviews', 'digits', 'voice'] : ['digits', 'reviews', 'voice'])
  })

  it('has colours on request alone, and is the same without them', () => {
    const coloured = shown(OPERATIONS, { colour: true }).join('\n')
    expect(coloured).toContain('\u001b[31mCRITICAL\u001b[0m')
    expect(stripVTControlCharacters(coloured)).toBe(shown(OPERATIONS).join('\n'))
  })

  it('says what is known of an origin that nothing probes, and why nothing does', () => {
    const origin = { name: 'mine', up: null, failures: 0 }
    const origins = [
      { ...origin, here: 'up', answered: true } as const,
      { ...origin, here: 'up', answered: false } as const,
      { ...origin, here: 'down', answered: true } as const,
    ]
    const lines = shown({ ...OPERATIONS, origins }, { rows: 60 })
    expect(lines).toContain("Origins (only a deployed Worker's cron trigger probes them)")
    expect(lines.filter((line) => line.startsWith('mine'))).toEqual([
      'mine                 answers requests',
      'mine                 not asked yet   ',
      'mine                 not probed       breaker down',
    ])
  })

  it('says that it is old', () => {
    expect(shown(OPERATIONS, { stale: 'No Worker answers.' }).at(-2)).toBe('Not refreshed: No Worker answers.')
  })
})
