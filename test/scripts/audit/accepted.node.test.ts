import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { acceptedFileSchema, decide } from '../../../scripts/audit/accepted.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

const finding = { package: 'weak', what: 'GHSA-a', message: 'weak has a fault.' }
const decision = {
  package: 'weak',
  what: 'GHSA-a',
  reason: 'That function is never called here.',
  by: 'A. Maintainer',
  on: '2026-11-01',
  until: '2026-12-31',
}

describe('what is accepted', () => {
  it('is so until a day, and has to be decided again', () => {
    const on = (today: string) => decide([finding], [decision], today)
    expect(on('2026-12-31')).toEqual({
      open: [],
      accepted: [
        'weak has a fault. Accepted by A. Maintainer on 2026-11-01, until 2026-12-31: That function is never called here.',
      ],
      unused: [],
    })
    expect(on('2027-01-01')).toEqual({
      open: ['weak has a fault. It was accepted by A. Maintainer until 2026-12-31: decide again.'],
      accepted: [],
      unused: [],
    })
  })

  it('is one finding of one package, or of packages that begin alike', () => {
    const open = (more: Partial<typeof decision>) =>
      decide([finding], [{ ...decision, ...more }], '2026-11-30').open.length
    expect(open({ package: 'weak*' })).toBe(0)
    expect(open({ package: 'we*' })).toBe(0)
    expect(open({ package: 'weaker' })).toBe(1)
    expect(open({ package: 'wea' })).toBe(1)
    expect(open({ what: 'GHSA-b' })).toBe(1)
  })

  it('and no longer found is named', () => {
    expect(decide([], [decision], '2026-11-30').unused).toEqual([
      'weak, GHSA-a: accepted on 2026-11-01, and no longer found. Remove the entry.',
    ])
  })

  it.each([
    ['no reason', { reason: '' }],
    ['no name', { by: '' }],
    ['no end', { until: undefined }],
    ['an end that is too far away', { until: '2028-01-01' }],
    ['an end before the beginning', { until: '2026-10-01' }],
    ['a date that is none', { on: '2026-02-30' }],
    ['an unknown field', { forever: true }],
  ])('is refused with %s', (_, more) => {
    expect(acceptedFileSchema.safeParse([decision]).success).toBe(true)
    expect(acceptedFileSchema.safeParse([{ ...decision, ...more }]).success).toBe(false)
  })

  it('in this repository has the form', async () => {
    const text = await readFile(join(ROOT, 'scripts/audit/accepted.json'), 'utf8')
    expect(acceptedFileSchema.parse(JSON.parse(text)).length).toBeGreaterThan(0)
  })
})
