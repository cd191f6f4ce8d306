import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CONFIGURATION_MARKERS, configurationTable } from '../../src/cli/configuration/table.ts'
import { betweenMarkers } from '../../src/cli/files/markers.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { readEnvironment } from '../../src/cloudflare/wrangler-config.ts'
import { BINDINGS, checkBindings, parseVariables, VARIABLE_NAMES, VARIABLES } from '../../src/config/variables.ts'
import { ADDRESSES, rootPath } from '../../src/http/addresses.ts'
import { PROTOCOLS } from '../../src/protocols/names.ts'

const read = (name: string): Promise<string> => readFile(join(ROOT, name), 'utf8')
const entries = Object.entries(VARIABLES)
const secrets = entries.filter(([, { kind }]) => kind === 'secret').map(([name]) => name)

function messageOf(env: Readonly<Record<string, unknown>>): string {
  try {
    parseVariables(env)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

describe('the schema of the configuration', () => {
  it('is the table in docs/configuration.md', async () => {
    const page = await read('docs/configuration.md')
    const fresh = betweenMarkers(page, CONFIGURATION_MARKERS, configurationTable())
    expect(fresh, 'bring it up to date: node scripts/configuration.ts --write').toBe(page)
  })

  it('documents the default that the parser uses', () => {
    const values: Readonly<Record<string, unknown>> = parseVariables({})
    const numbers = entries.filter(([name]) => typeof values[name] === 'number')
    expect(numbers.length).toBeGreaterThan(4)
    for (const [name, variable] of numbers) expect(Number.parseFloat(variable.default), name).toBe(values[name])
    expect(values.ENGINES).toEqual(['verge', 'onnxruntime'])
    expect(values.PLAYGROUND).toBe(true)
    expect(values.OTLP_HEADERS).toEqual({})
    expect(values.LIMITS_WHEN_UNAVAILABLE).toEqual({ rates: 'open', budgets: 'closed' })
    const set = ['ENGINES', 'OTLP_HEADERS', 'PLAYGROUND', 'LIMITS_WHEN_UNAVAILABLE']
    const others = entries.filter(([name]) => typeof values[name] !== 'number' && !set.includes(name))
    for (const [name, variable] of others) {
      const value = values[name] ?? []
      expect([...(value as Iterable<unknown>)], name).toEqual([])
      expect(variable.default, name).toMatch(/none/)
    }
  })

  it('documents the range that the parser accepts', () => {
    const ranged = entries.flatMap(([name, { description }]) => {
      const [, least, most] = /(\d+) to (\d+)$/.exec(description) ?? []
      return least === undefined || most === undefined ? [] : [{ name, least: Number(least), most: Number(most) }]
    })
    expect(ranged.length).toBeGreaterThan(4)
    for (const { name, least, most } of ranged) {
      for (const inside of [least, most]) expect(messageOf({ [name]: String(inside) }), name).toBe('accepted')
      for (const outside of [least - 1, most + 1, least + 0.5, 'many']) {
        expect(messageOf({ [name]: String(outside) })).toBe(
          `The Worker's configuration is invalid. ${name}: must be a whole number from ${least} to ${most}.`,
        )
      }
    }
  })

  it('names each wrong variable once, says what it accepts, and shows no value', () => {
    const message = messageOf({
      VERGE_API_KEY: 'a b',
      LOG_SAMPLE_RATE: '2',
      CORS_ALLOW: 'x, y',
      PINNED_MODELS: ['a'],
      PLAYGROUND: 'yes',
    })
    expect(message).toMatch(/VERGE_API_KEY: must have at least 16 characters/)
    expect(message).toMatch(/LOG_SAMPLE_RATE: must be a number from 0 to 1/)
    expect(message).toMatch(/PINNED_MODELS: must be text/)
    expect(message).toMatch(/PLAYGROUND: must be "on" or "off"/)
    expect(message.split('CORS_ALLOW')).toHaveLength(2)
    expect(message).not.toContain('a b')
  })

  it('says how a variable is called now, and reads nothing of its former name', () => {
    expect(messageOf({ CORS_ORIGINS: '*', LOG_SAMPLE_RATE: '2' })).toBe(
      "The Worker's configuration is invalid. LOG_SAMPLE_RATE: must be a number from 0 to 1; CORS_ORIGINS: is now called CORS_ALLOW; rename it.",
    )
    expect(messageOf({ CORS_ALLOW: '*' })).toBe('accepted')
  })
})

describe('the names of models', () => {
  const names = (text: string) => parseVariables({ MODEL_NAMES: text }).MODEL_NAMES

  it('are pairs, of which the first may hold anything that a client writes', () => {
    expect([...names('@cf/baai/bge-m3 = bge-m3, a=b=c,')]).toEqual([
      ['@cf/baai/bge-m3', 'bge-m3'],
      ['a=b', 'c'],
    ])
  })

  it.each(['bge-m3', '=bge-m3', 'a=', 'a=B C', 'a=b, a=c'])('are refused where they say nothing: %s', (text) => {
    expect(messageOf({ MODEL_NAMES: text })).toMatch(/^The Worker's configuration is invalid\. MODEL_NAMES: must /)
  })

  it('are those of models and protocols that there can be, where they are defaults', () => {
    expect(messageOf({ DEFAULT_PROTOCOL: 'tei', DEFAULT_MODEL: 'minilm' })).toBe('accepted')
    expect(messageOf({ DEFAULT_PROTOCOL: '', DEFAULT_MODEL: '' })).toBe('accepted')
    expect(messageOf({ DEFAULT_PROTOCOL: 'soap' })).toContain('DEFAULT_PROTOCOL: must be one of verge, openai')
    expect(messageOf({ DEFAULT_MODEL: 'A model' })).toContain('DEFAULT_MODEL: must be the name of a model')
  })
})

describe('the paths that the Worker answers without a look for a file', () => {
  const patterns = async (): Promise<string[]> => {
    const list = /^run_worker_first = (.*)$/m.exec(await read('wrangler.toml'))?.[1]
    return JSON.parse(list ?? '[]') as string[]
  }
  const covers = (pattern: string, path: string) =>
    pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path

  it('are those of every address that takes a body', async () => {
    const all = await patterns()
    // The platform takes a hundred.
    expect(all.length).toBeLessThan(100)
    for (const protocol of PROTOCOLS) {
      for (const address of ADDRESSES[protocol].filter(({ method }) => method === 'POST')) {
        for (const path of [`/${protocol}${address.path}`, rootPath(address)]) {
          if (path !== undefined)
            expect(
              all.some((pattern) => covers(pattern, path)),
              path,
            ).toBe(true)
        }
      }
    }
  })
})

it('the page is on unless a variable turns it off', () => {
  const playground = (value?: string) => parseVariables(value === undefined ? {} : { PLAYGROUND: value }).PLAYGROUND
  expect([playground(), playground(''), playground('on'), playground('off')]).toEqual([true, true, true, false])
})

describe('the files that configure the Worker', () => {
  it.each([undefined, 'staging', 'production'])('wrangler.toml agrees with the schema (%s)', async (env) => {
    const { vars, assets, bucket, namespaceId, durableObjects, rateLimits } = await readEnvironment(
      join(ROOT, 'wrangler.toml'),
      env,
    )
    for (const name of Object.keys(vars)) {
      expect(VARIABLE_NAMES).toContain(name)
      expect(secrets).not.toContain(name)
    }
    expect(messageOf(vars)).toBe('accepted')
    const bound: Record<keyof typeof BINDINGS, string | undefined> = {
      BUCKET: bucket,
      KV: namespaceId,
      STREAMS: durableObjects.STREAMS,
      LEDGER: durableObjects.LEDGER,
      ADDRESS_RATE: rateLimits.find((name) => name === 'ADDRESS_RATE'),
      KEY_RATE: rateLimits.find((name) => name === 'KEY_RATE'),
      RELEASES: durableObjects.RELEASES,
      METRICS: durableObjects.METRICS,
      CANARIES: durableObjects.CANARIES,
      ASSETS: assets === 'ASSETS' ? assets : undefined,
    }
    for (const name of Object.keys(BINDINGS) as (keyof typeof BINDINGS)[]) expect(bound[name], name).toBeDefined()
    // the defaults that docs/configuration.md names for each environment
    expect(vars.CORS_ALLOW).toBe(env === 'production' ? '' : '*')
    expect(vars.LOG_SAMPLE_RATE).toBe(env === undefined ? '0' : '1')
    if (env === undefined) expect(BINDINGS.BUCKET.default).toBe(`\`${bucket}\``)
  })

  it('.dev.vars.example has every secret and nothing else', async () => {
    const lines = (await read('.dev.vars.example')).split('\n')
    const named = lines.flatMap((line) => /^(?:# )?([A-Z][A-Z0-9_]*)\s*=/.exec(line)?.[1] ?? [])
    expect(named).toEqual(secrets)
  })
})

describe('the bindings', () => {
  it('are checked when the Worker starts', () => {
    const bound = { BUCKET: {}, KV: {} }
    expect(() => checkBindings(bound)).not.toThrow()
    expect(() => checkBindings({ KV: {} })).toThrow('BUCKET: no R2 bucket is bound; add it to wrangler.toml')
    expect(() => checkBindings({ BUCKET: {}, KV: 'text' })).toThrow('KV: no KV namespace is bound')
  })
})
