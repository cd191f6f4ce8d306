import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importKey, LEAST_SECRET, SignatureVerifier } from '../../src/access/signature.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { OPTION_NAMES, readOptions, variableOf } from '../../src/origin/command/options.ts'
import { METRIC_NAMES } from '../../src/origin/metrics.ts'
import { parseOrigins } from '../../src/placement/config.ts'
import { decide, type PlacementFacts } from '../../src/placement/policy.ts'
import { readYaml } from '../fixtures/node/manifests.ts'

const FOLDER = join(ROOT, 'docs/origin')

describe('docs/origin', () => {
  let text: string
  let rows: string[][]

  beforeAll(async () => {
    const pages = (await readdir(FOLDER)).filter((file) => file.endsWith('.md')).sort()
    text = (await Promise.all(pages.map((page) => readFile(join(FOLDER, page), 'utf8')))).join('\n')
    rows = text
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) =>
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      )
  })

  /** Names in backticks in the first cells of rows, where they begin with a prefix. */
  function named(prefix: RegExp): string[] {
    return rows
      .flatMap(([first = '']) => [...first.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))
      .filter((name) => prefix.test(name))
  }

  function blocks(language: string): string[] {
    return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
      .filter(([, of]) => of === language)
      .map(([, , block = '']) => block)
  }

  it('shows a signature that an origin accepts', async () => {
    const [shown = ''] = blocks('http')
    const lines = shown.trim().split('\n')
    const headers = new Headers(
      lines.map((line): [string, string] => [line.split(': ', 1)[0] ?? '', line.replace(/^[^:]*: /, '')]),
    )
    const key = await importKey('0123456789abcdef0123456789abcdef')
    const verifier = new SignatureVerifier([key], { clock: { now: () => 1_790_000_000_000 } })
    const verdict = await verifier.verify({ method: 'POST', path: '/run/digits?version=2', headers })
    if (!verdict.ok) throw new Error(verdict.reason)
    expect(verdict.caller).toBe('service:shop')
    expect(await verifier.matches(verdict.digest, new TextEncoder().encode('{"hello": "world"}').slice())).toBe(true)
  })

  it('has every option of the command, by its variable and with its default', async () => {
    const documented = rows.filter(([first = '']) => first.startsWith('`--') && !first.startsWith('`--from`'))
    const options = documented.filter(([, variable = '']) => variable.startsWith('`VERGE_'))
    expect(options.map(([first]) => first?.match(/--([a-z-]+)/)?.[1]).sort()).toEqual([...OPTION_NAMES].sort())
    for (const [first = '', variable] of options) {
      const name = OPTION_NAMES.find((each) => first.startsWith(`\`--${each} `))
      expect(variable, first).toBe(name && `\`${variableOf(name)}\``)
    }
    const environment = Object.fromEntries(
      options.flatMap(([, variable = '', fallback = '']) =>
        /^`?[\w.:/,-]+`?$/.test(fallback) && fallback !== 'none'
          ? [[variable.replaceAll('`', ''), fallback.replaceAll('`', '')]]
          : [],
      ),
    )
    const key = { VERGE_ORIGIN_KEY: 'k'.repeat(LEAST_SECRET) }
    const { cacheFolder, ...documentedDefaults } = (await readOptions([], { ...environment, ...key })) ?? {}
    const { cacheFolder: folder, ...defaults } = (await readOptions([], key)) ?? {}
    expect(Object.keys(environment).length).toBeGreaterThan(10)
    expect(documentedDefaults).toEqual(defaults)
    expect(folder?.endsWith(environment.VERGE_ORIGIN_CACHE ?? '-')).toBe(true)
  })

  it('has every metric', () => {
    expect(named(/^verge_origin_/).sort()).toEqual([...METRIC_NAMES].sort())
  })

  it('has every alert, and what to do', async () => {
    const [file] = await readYaml(join(ROOT, 'deploy/prometheus/alerts.yaml'))
    const alerts = [...JSON.stringify(file).matchAll(/"alert":"(\w+)"/g)].map(([, name]) => name)
    expect(named(/^VergeOrigin/).sort()).toEqual(alerts.sort())
  })

  it('shows origins that the Worker accepts', () => {
    const [toml = ''] = blocks('toml').filter((block) => block.includes('ORIGINS'))
    const list = /ORIGINS = '''(.*)'''/s.exec(toml)?.[1] ?? ''
    const entries = blocks('json').filter((block) => block.includes('"url"'))
    const parsed = [...parseOrigins(list, LIMITS), ...entries.flatMap((entry) => parseOrigins(`[${entry}]`, LIMITS))]
    expect(parsed.map(({ name, kind, auth }) => `${name} ${kind} ${auth.type}`).sort()).toEqual([
      'dc1 oip none',
      'fra verge hmac',
      'fra verge hmac',
      'iad verge hmac',
      'tei openai bearer',
      'triton oip access',
      'vllm openai bearer',
    ])
  })

  it('has the fields of an origin, and no others', () => {
    const at = text.indexOf('| field | | |')
    const table = text.slice(at, text.indexOf('\n\n', at)).split('\n').slice(2)
    const fields = table.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name))
    expect(fields).toHaveLength(11)
    // Each by itself is known: what is said of a field that origins do not have is not said of it.
    for (const field of fields)
      expect(() => parseOrigins(`[{"${field}": null}]`, LIMITS), field).not.toThrow('has an unknown field')
    expect(() => parseOrigins('[{"region": null}]', LIMITS)).toThrow('has an unknown field')
  })

  it('says of the defaults of an origin what they are', () => {
    const [origin] = parseOrigins('[{"name": "a", "url": "http://127.0.0.1:1"}]', LIMITS)
    const { headersMs, idleMs, totalMs } = origin?.timeouts ?? {}
    expect(text).toContain(`\`headersMs\` ${headersMs}: to`)
    expect(text).toContain(`\`idleMs\` ${idleMs}: between`)
    expect(text).toContain(`\`totalMs\` ${totalMs}: all`)
  })

  it('shows descriptions of models that can be pushed', () => {
    const models = blocks('json').filter((block) => block.includes('"artifacts"'))
    expect(models.map((block) => descriptionSchema.parse(JSON.parse(block)).name)).toEqual(['qwen', 'encoder'])
  })

  it('places requests as the policy does', () => {
    const edge = {
      artifacts: [{ id: 'small', support: { ok: true as const } }],
      full: false,
      loaded: false,
      startable: true,
    }
    const facts: PlacementFacts = {
      model: 'm',
      preference: 'auto',
      hint: 'auto',
      edge,
      origins: [{ name: 'fra', state: 'up', hasModel: true, routeSupport: 'forward', takesTensors: true }],
    }
    const none = {
      ...edge,
      artifacts: [{ id: 'big', support: { ok: false as const, code: 'model_too_large' as const, reason: '' } }],
    }
    const costly = { ...edge, artifacts: [{ id: 'small', support: { ok: true as const }, cost: 2 }], costLimit: 1 }
    const cases: Record<string, Partial<PlacementFacts>> = {
      '`verge-place: edge`': { hint: 'edge' },
      '`verge-place: origin`': { hint: 'origin' },
      '`edge`': { preference: 'edge' },
      '`origin`': { preference: 'origin' },
      '`auto`, an artifact fits the edge': {},
      '`auto`, and the edge is full': { edge: { ...edge, full: true } },
      '`auto`, and it could not load the model': { edge: { ...edge, startable: false } },
      '`auto`, over the cost limit of the edge': { edge: costly },
      '`auto`, nothing fits the edge': { edge: none },
    }
    const table = rows.filter(([first = '']) => first in cases)
    expect(table).toHaveLength(Object.keys(cases).length)
    for (const [first = '', ...cells] of table) {
      const { steps } = decide({ ...facts, ...cases[first] })
      for (const [i, cell] of cells.entries()) {
        const step = steps[i]
        const [place] = cell.split(',')
        const words = step === undefined ? '' : step.place === 'edge' ? 'the edge' : 'an origin'
        expect(place, `${first}: step ${i}`).toBe(words)
        if (step !== undefined) expect(cell, `${first}: step ${i}`).toContain(`\`${step.reason}\``)
        if (step?.place === 'edge') expect(cell.includes('degraded'), `${first}: step ${i}`).toBe(step.degraded)
      }
      expect(steps.length, first).toBe(cells.filter((cell) => cell !== '').length)
    }
  })

  it('names the bucket that models are pushed to, and so do the files to deploy by', async () => {
    const wrangler = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
    const [, bucket] =
      /\[\[env\.production\.r2_buckets\]\]\nbinding = "BUCKET"\nbucket_name = "([^"]+)"/.exec(wrangler) ?? []
    const files = ['docs/origin/run.md', 'deploy/origin/origin.env.example', 'deploy/kubernetes/base/configmap.yaml']
    for (const file of files) {
      const named = [...(await readFile(join(ROOT, file), 'utf8')).matchAll(/s3:\/\/([a-z][\w-]*)/g)].map(
        ([, name]) => name,
      )
      expect([...new Set(named)], file).toEqual([bucket])
    }
  })
})
