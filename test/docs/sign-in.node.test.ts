import { describe, expect, it } from 'vitest'
import { ALGORITHMS } from '../../src/access/sign-in/key-set.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { nth, readPage } from '../fixtures/node/docs.ts'
import { issuersOf } from '../fixtures/sign-in.ts'

const page = readPage('sign-in', 'docs')
/** The lists that the page sets `SIGN_IN` to. */
const lists = [...page.text.matchAll(/SIGN_IN = '''\n(.*?)\n\s*'''/gs)].map(([, list = '']) => list)

describe('docs/sign-in.md', () => {
  it('has settings that the Worker takes', () => {
    expect(lists).toHaveLength(2)
    expect(nth(issuersOf(nth(lists, 0)), 0)).toMatchObject({
      jwks: 'https://login.example.com/.well-known/jwks.json',
      grants: [{ grant: { plan: 'staff' } }, { grant: { limits: { rate: { requests: 60, seconds: 60 } } } }],
    })
    expect(nth(issuersOf(nth(lists, 1)), 0)).toMatchObject({ header: 'cf-access-jwt-assertion', algorithms: ['RS256'] })
  })

  it('names each algorithm, and the times that are kept', () => {
    for (const algorithm of Object.keys(ALGORITHMS)) expect(page.text).toContain(`\`${algorithm}\``)
    expect(page.text).toContain(`${LIMITS.signInTokenLength.toLocaleString('en')} characters`)
    expect(page.text).toContain(`at most once in ${LIMITS.signInPauseMs / 1000} s`)
    expect(page.text).toContain(`after ${LIMITS.signInFreshMs / 60_000} minutes at the latest`)
    expect(page.text).toContain(`until they are ${LIMITS.signInMostAgeMs / 3_600_000} hours old`)
  })
})
