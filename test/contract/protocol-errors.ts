import { describe, expect, it } from 'vitest'
import { CHAT_TEMPLATE_FILE } from '../../src/catalog/settings/generation.ts'
import { VergeError } from '../../src/core/errors.ts'
import { statusOf } from '../../src/http/error-response.ts'
import { ERROR_SHAPES } from '../../src/http/error-shapes.ts'
import type { ProtocolName } from '../../src/protocols/names.ts'
import { BoundedAdmission } from '../../src/serving/admission.ts'
import { ManualClock } from '../fixtures/clock.ts'
import { type TestAppOptions, testApp, testModel } from '../fixtures/http.ts'
import { meteringOf } from '../fixtures/metering.ts'
import { TASK_CASES } from './task-cases.ts'

type Fields = Readonly<Record<string, unknown>>

/** A call of a protocol, and how it is spoilt: fields over those of the good one. */
export interface ProtocolCall {
  readonly name: string
  readonly protocol: ProtocolName
  readonly path: (model: string) => string
  /** A request that is answered. */
  readonly body: (model: string) => Fields
  /** The task of the model that it needs. */
  readonly task: keyof typeof TASK_CASES
  readonly wrongType: Fields
  readonly empty: Fields
  /** More inputs than `limits` allow. */
  readonly tooMany: Fields
  /** An input longer than `limits` allow. */
  readonly tooLong: Fields
  /** A field that would change what the answer means; absent where the protocol's fields are open. */
  readonly unknown?: Fields
  readonly limits: NonNullable<TestAppOptions['limits']>
  readonly headers?: Readonly<Record<string, string>>
}

const TEMPLATE = new TextEncoder().encode('{% for m in messages %}{{ m.content }}{% endfor %}')
const NO_BLOB = { sha256: '0'.repeat(64), bytes: 0, chunks: [] }

async function* tokens(ids: readonly number[]): AsyncGenerator<number, undefined> {
  yield* ids
}

/** What every protocol has to refuse, in its own shape and with its own status, and before anything is run. */
export function protocolErrors(call: ProtocolCall): void {
  const shape = ERROR_SHAPES[call.protocol]
  const models = (visibility: 'public' | 'private' = 'public') => {
    const { compute, files, manifest, writes } = TASK_CASES[call.task]
    // Chats need a template, which other tasks have no use for.
    const own = writes === undefined ? files : { ...files, [CHAT_TEMPLATE_FILE]: TEMPLATE }
    const stored = Object.fromEntries(Object.keys(own ?? {}).map((file) => [file, NO_BLOB]))
    const other = TASK_CASES['image-classification']
    return [
      testModel(
        'fits',
        visibility,
        { ...manifest, model: 'fits', ...(writes && { files: stored }) },
        { ...(own && { files: own }), ...(compute && { compute }), ...(writes && { write: () => tokens(writes) }) },
      ),
      testModel(
        'other',
        visibility,
        { ...other.manifest, model: 'other' },
        { compute: other.compute ?? (() => new Map()) },
      ),
    ]
  }
  const ask = async (app: ReturnType<typeof testApp>, model: string, fields: Fields = {}) =>
    app.post(call.path(model), { ...call.body(model), ...fields }, call.headers)

  /** The answer is of the protocol's shape, with one of these codes and its status, and nothing was run. */
  async function expectRefused(app: ReturnType<typeof testApp>, answer: Response, codes: readonly string[]) {
    const text = await answer.text()
    const code = codes.find((each) => text.includes(`"${each}"`))
    expect(code, `${text} has one of ${codes.join(', ')}`).toBeDefined()
    const error = new VergeError(code as VergeError['code'], 'any')
    expect(answer.status, text).toBe(statusOf(shape, error))
    const documented = shape.body(error, 'id-1', answer.status) as object
    expect(Object.keys(JSON.parse(text) as object)).toEqual(expect.arrayContaining(Object.keys(documented)))
    expect(app.serving.runs).toEqual([])
    return text
  }

  describe(`${call.name}: what is refused`, () => {
    it('answers what is right', async () => {
      const app = testApp({ models: models() })
      const answer = await ask(app, 'fits')
      expect(answer.status, await answer.clone().text()).toBe(200)
    })

    it.each([
      ['an unknown model', 'absent', {}, ['model_not_found']],
      ['a field of the wrong type', 'fits', call.wrongType, ['invalid_request', 'invalid_tensor']],
      ['an empty input', 'fits', call.empty, ['empty_input', 'invalid_request']],
      ['too many inputs', 'fits', call.tooMany, ['input_too_large', 'invalid_request']],
      ['an input that is too long', 'fits', call.tooLong, ['input_too_large', 'context_length_exceeded']],
      ...(call.unknown === undefined ? [] : [['an unknown field', 'fits', call.unknown, ['invalid_request']] as const]),
      ['a model of another task', 'other', {}, ['task_mismatch', 'invalid_request']],
    ] as const)('%s', async (_, model, fields, codes) => {
      const app = testApp({ models: models(), limits: call.limits })
      await expectRefused(app, await ask(app, model, fields), codes)
    })

    it('what is more than there is room for, with when to come again', async () => {
      const clock = new ManualClock()
      const admission = new BoundedAdmission({ slots: 1, leaseMs: 60_000, bodyBytes: 1e6, clock })
      const app = testApp({ models: models(), admission })
      admission.enter('another')
      const answer = await ask(app, 'fits')
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
      await expectRefused(app, answer, ['overloaded'])
    })

    it.each(['rate_limited', 'budget_spent', 'limits_unavailable'] as const)(
      'a caller to whom is said: %s, before anything of the body is read',
      async (code) => {
        const error = new VergeError(code, 'There is no room.', { retryAfter: 7, details: { limit: 'rate' } })
        const metering = meteringOf({ admit: error })
        const app = testApp({ models: models(), metering: metering.metering })
        // What is no JSON would be refused for that, were it read.
        const answer = await app.post(call.path('fits'), '{', call.headers)
        expect(answer.headers.get('retry-after')).toBe('7')
        const told = await expectRefused(app, answer, [code])
        expect(told).toContain('There is no room.')
        expect(metering.usage).toEqual([])
      },
    )

    it('a body that is larger than the plan allows, before it is read', async () => {
      const metering = meteringOf({ plan: { bodyBytes: 4 } })
      const app = testApp({ models: models(), metering: metering.metering })
      const answer = await app.post(call.path('fits'), '{"a":', { ...call.headers, 'content-length': '5' })
      await expectRefused(app, answer, ['body_too_large'])
      expect(metering.usage).toMatchObject([{ status: 413, units: 0 }])
    })

    it('more inputs than the plan allows, though the server would take them', async () => {
      const metering = meteringOf({ plan: { batch: 2 } })
      const app = testApp({ models: models(), metering: metering.metering })
      const answer = await ask(app, 'fits', call.tooMany)
      // A chat is one input, however many messages it has, and so is a prompt with many stops.
      if (/"role"|"stop/.test(JSON.stringify(call.tooMany))) expect(await answer.text()).not.toContain('Your plan')
      else expect(await expectRefused(app, answer, ['input_too_large'])).toContain('Your plan allows 2 inputs')
    })

    it('answers who has room, and counts it once', async () => {
      const metering = meteringOf({
        state: [{ name: 'rate', quota: 60, unit: 'requests', seconds: 60, remaining: 59, reset: 30 }],
      })
      const app = testApp({ models: models(), metering: metering.metering })
      const answer = await ask(app, 'fits')
      expect(answer.status, await answer.clone().text()).toBe(200)
      expect(answer.headers.get('ratelimit-policy')).toBe('"rate";q=60;w=60')
      expect(answer.headers.get('ratelimit')).toBe('"rate";r=59;t=30')
      await answer.text()
      expect(metering.usage).toMatchObject([{ model: 'fits@1', status: 200, cached: false }])
      expect(metering.models).toEqual(['fits'])
    })

    it('a private model without a key, as one that does not exist', async () => {
      const app = testApp({ models: models('private') })
      const told = await expectRefused(app, await ask(app, 'fits'), ['model_not_found'])
      const missing = await (await ask(testApp({ models: [] }), 'fits')).text()
      expect(told).toBe(missing)
    })

    it('a body that is not JSON', async () => {
      const app = testApp({ models: models() })
      const answer = await app.post(call.path('fits'), '{', call.headers)
      await expectRefused(app, answer, ['invalid_json'])
    })
  })
}
