import { describe, expect, it } from 'vitest'
import { readAdvisories } from '../../../scripts/audit/advisories.ts'

const advisory = { title: 'T', url: 'https://advisories.example/GHSA-a', severity: 'low', range: '<2' }

describe('readAdvisories', () => {
  it('names an advisory once, at the package that has the fault', () => {
    const vulnerabilities = {
      weak: { via: [advisory, { ...advisory, url: 'https://advisories.example/GHSA-b' }] },
      user: { via: ['weak'] },
    }
    expect(readAdvisories({ auditReportVersion: 2, vulnerabilities })).toMatchObject({
      kind: 'findings',
      findings: [
        { package: 'weak', what: 'GHSA-a', message: 'weak <2: T (low, https://advisories.example/GHSA-a).' },
        { package: 'weak', what: 'GHSA-b' },
      ],
    })
  })

  it.each([404, 405, 410, 501])('tells a registry without audits from one that fails: %i', (statusCode) => {
    expect(readAdvisories({ statusCode, message: 'x' })).toEqual({ kind: 'not offered', why: `HTTP ${statusCode}` })
  })

  it.each([
    [{ statusCode: 400 }, 'The registry answered HTTP 400.'],
    [{ statusCode: 429 }, 'The registry answered HTTP 429.'],
    [{ statusCode: 503 }, 'The registry answered HTTP 503.'],
    [{ error: { code: 'ENOLOCK', summary: 'no lock file' } }, 'ENOLOCK: no lock file'],
    [{ error: {} }, 'npm audit failed.'],
    [{ auditReportVersion: 3 }, 'npm audit answered in a form that is not known here.'],
    [null, 'npm audit answered in a form that is not known here.'],
  ])('fails for %j', (value, why) => {
    expect(readAdvisories(value)).toEqual({ kind: 'failed', why })
  })

  it('knows the code of an npm that has no audit', () => {
    expect(readAdvisories({ error: { code: 'ENOAUDIT' } })).toEqual({ kind: 'not offered', why: 'ENOAUDIT' })
  })
})
