import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkConfiguration } from '../../src/cli/doctor/configuration.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { withoutTables } from '../../src/cli/files/toml-tables.ts'
import {
  environmentNames,
  PLACEHOLDER,
  readEnvironment,
  saveNamespaceId,
  withNamespaceId,
} from '../../src/cloudflare/wrangler-config.ts'

const OWN = join(ROOT, 'wrangler.toml')
const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
const NOW = Date.parse('2026-11-22')

let folder: string
let file: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-config-'))
  file = join(folder, 'wrangler.toml')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** The project's own file with something changed. */
async function changed(change: (toml: string) => string): Promise<string> {
  const before = await readFile(OWN, 'utf8')
  const after = change(before)
  expect(after).not.toBe(before)
  await writeFile(file, after)
  return file
}

async function findings(env: string | undefined, config: string): Promise<string[]> {
  const checks = await checkConfiguration(await readEnvironment(config, env), NOW)
  return checks.filter(({ status }) => status !== 'ok').map(({ status, finding }) => `${status}: ${finding}`)
}

describe("the project's wrangler.toml", () => {
  it('has environments that share no storage and no name', async () => {
    expect(environmentNames(await readFile(OWN, 'utf8'))).toEqual(['staging', 'production'])
    const all = await Promise.all([undefined, 'staging', 'production'].map((env) => readEnvironment(OWN, env)))
    for (const what of ['worker', 'bucket'] as const) expect(new Set(all.map((each) => each[what])).size).toBe(3)
    for (const each of all) {
      expect(each.compatibilityFlags).toContain('enable_request_signal')
      expect(each.observability).toBe(true)
    }
    for (const { cpuMs } of all.slice(1)) expect(cpuMs).toBeGreaterThanOrEqual(10_000)
  })

  it('has nothing wrong with it locally', async () => {
    expect(await findings(undefined, OWN)).toEqual([])
  })
})

describe('writing the id of a KV namespace', () => {
  it('changes one line of one environment, and no comment', async () => {
    const before = await readFile(OWN, 'utf8')
    const config = await changed((toml) => withNamespaceId(toml, 'production', ID))
    const after = await readFile(config, 'utf8')
    const different = after.split('\n').filter((line, i) => line !== before.split('\n')[i])
    expect(different).toEqual([`id = "${ID}"`])
    expect((await readEnvironment(config, 'production')).namespaceId).toBe(ID)
    expect((await readEnvironment(config, 'staging')).namespaceId).toMatch(PLACEHOLDER)
    expect((await readEnvironment(config, undefined)).namespaceId).toMatch(PLACEHOLDER)
  })

  it('keeps what stands behind the value, and finds the right table among several', () => {
    const toml = [
      '[[env.production.kv_namespaces]]',
      'binding = "OTHER"',
      'id = "11111111111111111111111111111111"',
      '[[env.production.kv_namespaces]] # ours',
      "  id = '00000000000000000000000000000000' # by setup",
      "  binding = 'KV'",
      '[[env.staging.kv_namespaces]]',
      'binding = "KV"',
      'id = "00000000000000000000000000000000"',
    ]
    const expected = toml.with(4, `  id = "${ID}" # by setup`)
    expect(withNamespaceId(toml.join('\n'), 'production', ID)).toBe(expected.join('\n'))
  })

  it('says what to write by hand where the layout is another', () => {
    const inline = `[env.production]\nkv_namespaces = [{ binding = "KV", id = "${'0'.repeat(32)}" }]\n`
    expect(() => withNamespaceId(inline, 'production', ID)).toThrow(
      `[[env.production.kv_namespaces]]\nbinding = "KV"\nid = "${ID}"`,
    )
    const twice = '[[env.production.kv_namespaces]]\nbinding = "KV"\nid = "x"\n'.repeat(2)
    expect(() => withNamespaceId(twice, 'production', ID)).toThrow('yourself')
  })

  it('leaves the file as it was where wrangler reads something else', async () => {
    // a table in a multi-line string: it looks like one, line by line, and is none
    const toml = `[env.production.vars]\nX = """\n[[env.production.kv_namespaces]]\nbinding = "KV"\nid = "0"\n"""\n`
    await writeFile(file, toml)
    await expect(saveNamespaceId(file, 'production', ID)).rejects.toThrow('yourself')
    expect(await readFile(file, 'utf8')).toBe(toml)
  })
})

describe('what doctor finds in a configuration', () => {
  it('warns where browsers get no page, unless that is meant', async () => {
    const without = await changed((toml) => withoutTables(toml, ['assets']))
    const expected = ['warn: no Workers Assets are bound to ASSETS: browsers get JSON at /, and no page']
    expect(await findings(undefined, without)).toEqual(expected)
    const renamed = await changed((toml) => toml.replace('binding = "ASSETS"', 'binding = "FILES"'))
    expect(await findings(undefined, renamed)).toEqual(expected)
    const off = await changed((toml) =>
      withoutTables(toml, ['assets']).replace('[vars]\n', '[vars]\nPLAYGROUND = "off"\n'),
    )
    expect(await findings(undefined, off)).toEqual([])
  })

  it('names a file that is not TOML, and an environment that is not there', async () => {
    await writeFile(file, 'name = "verge\n[env.production]\n')
    await expect(readEnvironment(file, 'production')).rejects.toThrow('wrangler cannot read wrangler.toml')
    await expect(readEnvironment(OWN, 'prod')).rejects.toThrow('it has staging, production')
  })

  it('finds the placeholder', async () => {
    expect(await findings('production', OWN)).toEqual([
      "fail: [env.production] still has a placeholder for the KV namespace's id",
    ])
  })

  it('finds bindings that were not repeated', async () => {
    const config = await changed((toml) =>
      toml.replace(/\[\[env\.production\.(r2_buckets|kv_namespaces)\]\]\n.*\n.*\n/g, ''),
    )
    const found = await findings('production', config)
    expect(found).toContain('fail: [env.production] binds no R2 bucket to BUCKET')
    expect(found).toContain('fail: [env.production] binds no KV namespace to KV')
  })

  it('finds a variable that the Worker would refuse, and a secret in the file', async () => {
    const config = await changed(
      (toml) => `${toml}ADMITTED_REQUESTS = "many"\nVERGE_API_KEY = "in-clear-in-the-repository"\n`,
    )
    const found = (await findings('production', config)).join('\n')
    expect(found).toMatch(/fail: .*ADMITTED_REQUESTS/)
    expect(found).toMatch(/fail: VERGE_API_KEY is in wrangler.toml/)
    expect(found).not.toContain('in-clear-in-the-repository')
  })

  it('finds dates of the future and of long ago, and a missing flag', async () => {
    const dated = (date: string) =>
      changed((toml) => toml.replace(/^compatibility_date = .*$/m, `compatibility_date = "${date}"`))
    expect(await findings(undefined, await dated('2027-01-01'))).toEqual([expect.stringContaining('in the future')])
    expect(await findings(undefined, await dated('2025-01-01'))).toEqual([
      expect.stringContaining('more than a year old'),
    ])
    // An application's file stays as it is when Verge is upgraded.
    expect(await findings(undefined, await dated('2026-01-02'))).toEqual([
      expect.stringMatching(
        /^warn: compatibility_date 2026-01-02 is older than \d{4}-\d\d-\d\d, the date .* tested with$/,
      ),
    ])
    const config = await changed((toml) => toml.replace('"enable_request_signal", ', ''))
    expect(await findings(undefined, config)).toEqual([expect.stringContaining('enable_request_signal')])
    const traced = await changed((toml) =>
      toml.replace(', "nodejs_als"', '').replace('[vars]', '[vars]\nOTLP_ENDPOINT = "https://otlp.example.com"'),
    )
    expect(await findings(undefined, traced)).toEqual([expect.stringContaining('nodejs_als')])
  })

  it('finds that nobody watches and nothing is bounded', async () => {
    const config = await changed((toml) =>
      toml
        .replace(/\[env\.production\.limits\]\n.*\n/, '')
        .replace(/(\[env\.production\.observability\]\nenabled = )true/, '$1false'),
    )
    const found = (await findings('production', config)).join('\n')
    expect(found).toContain('warn: limits.cpu_ms is not set')
    expect(found).toContain('warn: observability is off')
  })
})

describe('what makes requests fail later is found in the configuration', () => {
  /** The production environment with other variables. */
  const withVars = (lines: string) =>
    changed((toml) => toml.replace(/^(\[env\.production\.vars\]\n(?:#.*\n)*).*$/m, `$1${lines}`))
  const found = async (lines: string): Promise<string> =>
    (await findings('production', await withVars(lines))).filter((line) => !line.includes('placeholder')).join('\n')

  it.each([
    ['CORS_ALLOW = "app.example.com"', /fail: .*CORS_ALLOW: must be origins such as/],
    ['CORS_ALLOW = "https://app.example.com/app"', /fail: .*CORS_ALLOW/],
    ['CORS_ALLOW = "https://*.example.com"', /fail: .*CORS_ALLOW/],
    ['CORS_ALOW = "*"', /fail: the Worker reads no variable CORS_ALOW\. Did you mean CORS_ALLOW\?/],
    ['CORS_ORIGINS = "*"', /fail: .*CORS_ORIGINS: is now called CORS_ALLOW; rename it/],
    ['REQUST_DEADLINE_MS = "1000"', /fail: .*Did you mean REQUEST_DEADLINE_MS\?/],
    ['SHOP_URL = "x"', /^warn: the Worker reads no variable SHOP_URL$/],
    ['RPC_CALLERS = "*"', /fail: .*RPC_CALLERS: must name each caller; "\*" is not accepted/],
    [
      `ORIGINS = '[{"name":"fra","url":"https://fra.example.com","binding":"FRA"}]'`,
      /fail: ORIGINS: origin "fra" needs the binding FRA/,
    ],
  ])('%s', async (lines, finding) => {
    expect(await found(lines)).toMatch(finding)
  })

  it.each([
    'CORS_ALLOW = "https://app.example.com/, HTTPS://Other.example.com, null, capacitor://localhost"',
    'RESULT_CACHE_TTL_SECONDS = ""',
    'ADMITTED_REQUESTS = ""',
  ])('not %s', async (lines) => {
    expect(await found(lines)).toBe('')
  })

  it.each([
    ['STREAMS', 'SpeechStream'],
    ['LEDGER', 'Ledger'],
    ['RELEASES', 'ReleaseGuard'],
    ['METRICS', 'Metrics'],
    ['CANARIES', 'CanaryWatch'],
  ])('%s without its class', async (binding, className) => {
    const bound = new RegExp(
      `^\\[\\[env\\.production\\.durable_objects\\.bindings\\]\\]\\nname = "${binding}"\\n.*\\n`,
      'm',
    )
    expect(await findings('production', await changed((toml) => toml.replace(bound, '')))).toContainEqual(
      expect.stringMatching(new RegExp(`^fail: no Durable Object is bound to ${binding}`)),
    )
    const migration = new RegExp(`^\\[\\[migrations\\]\\]\\n.*\\nnew_sqlite_classes = \\["${className}"\\]\\n`, 'm')
    expect(await findings('production', await changed((toml) => toml.replace(migration, '')))).toContainEqual(
      expect.stringMatching(new RegExp(`^fail: no migration declares the class ${className}`)),
    )
  })

  it('no limit of the platform', async () => {
    const limit = /^\[\[env\.production\.ratelimits\]\]\nname = "KEY_RATE"\n.*\n.*\n/m
    expect(await findings('production', await changed((toml) => toml.replace(limit, '')))).toContainEqual(
      expect.stringMatching(/^warn: no rate limit is bound to KEY_RATE/),
    )
  })
})
