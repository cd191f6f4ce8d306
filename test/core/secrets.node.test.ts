import { afterEach, describe, expect, it, vi } from 'vitest'
import { makeKey } from '../../src/access/keys/form.ts'
import { consoleLogger } from '../../src/core/runtime.ts'
import { withoutSecrets } from '../../src/core/secrets.ts'
import { randomBytes } from '../fixtures/keys.ts'

const TOKEN = 'verge_bt_eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJ2ZXJnZSJ9.CGgiwX3trypUNPyexQavT46paG1bQ5S0xyPDXzCAW_U'

describe('secrets of callers', () => {
  afterEach(() => vi.restoreAllMocks())

  it('are taken out of a text wherever they stand, whole or cut off; the id of a key stays', () => {
    const { id, secret, text } = makeKey(randomBytes)
    for (const each of [text, text.slice(0, -1), `${text}x`, text.slice(0, -30)]) {
      const line = withoutSecrets(`{"path":"/models/${each}","message":"no model \\"${each}\\""}`)
      expect(line).toBe(`{"path":"/models/verge_sk_${id}_[secret]","message":"no model \\"verge_sk_${id}_[secret]\\""}`)
      expect(line).not.toContain(secret.slice(0, 8))
    }
    expect(withoutSecrets(`verge_sk_${secret}`)).toBe('verge_sk_[secret]')
    for (const each of [TOKEN, TOKEN.slice(0, 64)]) expect(withoutSecrets(`/${each}?`)).toBe('/verge_bt_[secret]?')
    expect(withoutSecrets('The key verge_sk was not found, and verge_bt_ neither.')).toBe(
      'The key verge_sk was not found, and verge_bt_ neither.',
    )
  })

  it('never come into the log, in causes of errors neither', () => {
    const lines: unknown[] = []
    for (const level of ['log', 'warn', 'error'] as const) {
      vi.spyOn(console, level).mockImplementation((line) => void lines.push(line))
    }
    const { id, secret, text } = makeKey(randomBytes)
    consoleLogger.info('request_refused', { requestId: text, path: `/v1/models/${TOKEN}` })
    consoleLogger.warn('request_failed', { error: new Error('outer', { cause: new Error(`of ${text}`) }) })
    consoleLogger.error('request_failed', { stack: `Error: ${TOKEN}\n    at x` })
    expect(lines).toHaveLength(3)
    const logged = lines.join('\n')
    expect(logged).toContain(`verge_sk_${id}_[secret]`)
    for (const hidden of [secret, TOKEN.slice(9, 30), 'CGgiwX3']) expect(logged).not.toContain(hidden)
    for (const line of lines) expect(() => JSON.parse(String(line))).not.toThrow()
  })
})
