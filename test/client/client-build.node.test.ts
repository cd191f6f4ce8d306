import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { buildClient, CLIENT_MODULE, clientModule } from '../../scripts/client/build.ts'
import { CLIENT_SCRIPT } from '../../src/http/client/script.ts'

describe('the built client', () => {
  it('is what `npm run build:client` writes of the sources', async () => {
    expect(readFileSync(CLIENT_MODULE, 'utf8')).toBe(clientModule(await buildClient()))
  })

  it('is one module under 6 KB in gzip, and imports nothing', async () => {
    expect(gzipSync(CLIENT_SCRIPT).length).toBeLessThan(6_000)
    expect(CLIENT_SCRIPT).not.toMatch(/\bimport\b|\brequire\b/)
    const built = (await import(`data:text/javascript,${encodeURIComponent(CLIENT_SCRIPT)}`)) as object
    expect(Object.keys(built).sort()).toEqual(['VergeError', 'createClient'])
  })
})
