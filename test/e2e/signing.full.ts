/** Signed releases: whatever is changed in the stores behind a Worker's back is never run, and other models go on. */
import { chmod, cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { multilingualModel } from '../../bench/models/multilingual.ts'
import type { Alias } from '../../src/catalog/alias.ts'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { aliasKey, INDEX_HEAD_KEY, manifestKey } from '../../src/catalog/keys.ts'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { blobsOf } from '../../src/catalog/servable.ts'
import { ReleaseSigning } from '../../src/catalog/signing/release-signing.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { type PackedModel, pack } from '../../src/cli/pack/packer.ts'
import { pushModel } from '../../src/cli/push/push.ts'
import { localStores } from '../../src/cli/target/local.ts'
import { openTarget } from '../../src/cli/target/open.ts'
import { writerOf } from '../../src/cli/target/target.ts'
import { weightsPath } from '../../src/protocols/browser/wire.ts'
import { blobKey } from '../../src/weights/blob.ts'
import type { Store } from '../../src/weights/store.ts'
import { lookupModel, lookupRow } from '../../synthetic/onnx-models.ts'
import { readValue } from '../contract/store.ts'
import { FEW_LANGUAGES } from '../fixtures/node/few-languages.ts'
import { type LiveWorker, startLiveWorker } from '../fixtures/node/live-worker.ts'
import { publishModel } from '../fixtures/node/publish.ts'
import { startProcess } from '../fixtures/node/start-process.ts'
import { verge } from '../fixtures/node/verge.ts'
import { testSigner } from '../fixtures/release-keys.ts'

const signer = await testSigner()
const TABLE_BYTES = 64 * 1024
const SIGNATURE = {
  inputs: [{ name: 'row', datatype: 'INT64' as const, shape: ['n'] }],
  outputs: [{ name: 'values', datatype: 'FP32' as const, shape: ['n', 64] }],
}

interface Place {
  readonly worker: LiveWorker
  readonly truth: Store
  readonly kv: Store
  readonly writer: ReturnType<typeof writerOf>
}

async function start(): Promise<Place> {
  const worker = await startLiveWorker({ RELEASE_KEYS: signer.publicKey })
  const bucket = await worker.miniflare.getR2Bucket('BUCKET')
  const namespace = await worker.miniflare.getKVNamespace('KV')
  const { truth, copies } = localStores({ BUCKET: bucket as never, KV: namespace as never })
  const [kv] = copies
  if (kv === undefined) throw new Error('no KV')
  const writer = writerOf(truth, copies, { signing: async () => new ReleaseSigning({ signer }) })
  return { worker, truth, kv, writer }
}

let place: Place
let seeds = 0

beforeAll(async () => {
  place = await start()
})
afterAll(() => place?.worker.dispose())

/** A signed model with weights of its own, which no isolate has read yet. */
async function model(
  name: string,
): Promise<{ readonly name: string; readonly seed: number; readonly manifest: Manifest }> {
  const seed = ++seeds
  const extra = { downloadable: true } satisfies Partial<Manifest>
  const artifact = { places: ['edge' as const, 'browser' as const] }
  const options = { hot: true, extra, artifact }
  const manifest = await publishModel(place.writer, name, lookupModel(TABLE_BYTES, seed), SIGNATURE, options)
  return { name, seed, manifest }
}

interface Asked {
  readonly status: number
  readonly code?: string | undefined
  readonly values?: readonly number[] | undefined
}

async function ask(name: string): Promise<Asked> {
  const inputs = [{ name: 'row', datatype: 'INT64', shape: [1], data: [3] }]
  const answer = await fetch(`${place.worker.url}/v2/models/${name}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs }),
  })
  const body = (await answer.json()) as {
    readonly error?: { readonly code?: string } | string
    readonly code?: string
    readonly outputs?: readonly { readonly data: readonly number[] }[]
  }
  const code = typeof body.error === 'object' ? body.error.code : body.code
  return { status: answer.status, code, values: body.outputs?.[0]?.data }
}

/** The right numbers, or the code of a refusal. */
async function outcome({ name, seed }: { readonly name: string; readonly seed: number }): Promise<string> {
  const { status, code, values } = await ask(name)
  if (values === undefined) return `${status} ${code ?? ''}`
  return Array.from(lookupRow(3, seed)).every((value, at) => value === values[at]) ? 'right' : 'WRONG'
}

async function change(stores: readonly Store[], key: string, to: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  for (const store of stores) {
    const bytes = await readValue(store, key)
    if (bytes === null) throw new Error(`${store.name} has no ${key}`)
    await store.put(key, to(bytes))
  }
}

const json =
  <T>(edit: (value: T) => object) =>
  (bytes: Uint8Array): Uint8Array =>
    canonicalBytes(edit(JSON.parse(new TextDecoder().decode(bytes)) as T))

/** The same length: nothing but the contents tells. */
function flipped(bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice()
  const at = changed.length - 100
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}

/** A bit of every page and of every line. */
function every(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (at % 64 === 0 ? byte ^ 1 : byte))
}

const both = (): readonly Store[] => [place.truth, place.kv]
const firstChunk = ({ artifacts }: Manifest): string => blobKey(artifacts[0]?.chunks[0]?.sha256 ?? '')

describe('a Worker with RELEASE_KEYS', () => {
  it('runs what is signed', async () => {
    expect(await outcome(await model('untouched'))).toBe('right')
  })

  it.each<[string, (alias: Alias) => object]>([
    ['unsigned', ({ signature: _, ...alias }) => alias],
    ['made public', (alias) => ({ ...alias, visibility: 'private' })],
    ['given other weights', (alias) => ({ ...alias, versions: { '1': '0'.repeat(64) } })],
    ['raised', (alias) => ({ ...alias, generation: alias.generation + 1 })],
    ['prolonged', (alias) => ({ ...alias, signature: { ...alias.signature, expires: 4_000_000_000 } })],
  ])('refuses an alias that was %s, in KV and in R2', async (what, edit) => {
    const made = await model(`alias-${what.replaceAll(' ', '-')}`)
    await change(both(), aliasKey(made.name), json(edit))
    expect(await outcome(made)).toBe('500 signature_invalid')
    expect(await outcome(await model(`beside-${made.name}`))).toBe('right')
  })

  it('reads R2 where an alias was changed in KV alone', async () => {
    const made = await model('alias-in-kv')
    await change(
      [place.kv],
      aliasKey(made.name),
      json<Alias>((alias) => ({ ...alias, visibility: 'private' })),
    )
    expect(await outcome(made)).toBe('right')
    await expect.poll(() => place.worker.logs.join('\n')).toContain('copy_unusable')
  })

  it('refuses an alias of another model under this name', async () => {
    const [one, other] = [await model('one'), await model('other')]
    const stolen = await readValue(place.truth, aliasKey(other.name))
    await change(both(), aliasKey(one.name), () => stolen ?? new Uint8Array())
    expect(await outcome(one)).toMatch(/^500 (alias|signature)_invalid$/)
  })

  it('refuses a changed manifest, also where the alias names the changed one', async () => {
    const widened = json<Manifest>((manifest) => ({ ...manifest, labels: ['mine'] }))
    const plain = await model('manifest')
    await change(both(), manifestKey(plain.name, '1'), widened)
    expect(await outcome(plain)).toBe('500 manifest_invalid')
    const renamed = await model('manifest-and-alias')
    await change(both(), manifestKey(renamed.name, '1'), widened)
    const bytes = (await readValue(place.truth, manifestKey(renamed.name, '1'))) ?? new Uint8Array()
    await change(
      both(),
      aliasKey(renamed.name),
      json<Alias>((alias) => ({ ...alias, versions: { '1': sha256(bytes) } })),
    )
    expect(await outcome(renamed)).toBe('500 signature_invalid')
  })

  it('reads R2 where a chunk was changed in KV, and runs nothing where it was changed in both', async () => {
    const copied = await model('chunk-in-kv')
    await change([place.kv], firstChunk(copied.manifest), flipped)
    expect(await outcome(copied)).toBe('right')
    const stored = await model('chunk')
    await change(both(), firstChunk(stored.manifest), flipped)
    expect(await outcome(stored)).toBe('500 weights_corrupt')
  })

  it('gives browsers neither plans nor weights of a release that it refuses', async () => {
    const good = await model('browser-good')
    const chunk = good.manifest.artifacts[0]?.chunks[0]?.sha256 ?? ''
    expect((await fetch(`${place.worker.url}/browser/${good.name}`)).status).toBe(200)
    expect((await fetch(place.worker.url + weightsPath(good.name, chunk))).status).toBe(200)
    const bad = await model('browser-bad')
    await change(
      both(),
      aliasKey(bad.name),
      json<Alias>(({ signature: _, ...alias }) => alias),
    )
    const itsChunk = bad.manifest.artifacts[0]?.chunks[0]?.sha256 ?? ''
    for (const path of [`/browser/${bad.name}`, weightsPath(bad.name, itsChunk)]) {
      const answer = await fetch(place.worker.url + path)
      expect([path, answer.status, await answer.text()]).toEqual([
        path,
        500,
        expect.stringContaining('signature_invalid'),
      ])
    }
    const lied = await model('browser-manifest')
    await change(
      both(),
      manifestKey(lied.name, '1'),
      json<Manifest>((manifest) => ({ ...manifest, labels: ['x'] })),
    )
    expect((await fetch(`${place.worker.url}/browser/${lied.name}`)).status).toBe(500)
  })

  it('leaves refused models out of lists that are made of aliases, and says why in its log', async () => {
    const fresh = await start()
    try {
      await publishModel(fresh.writer, 'listed', lookupModel(TABLE_BYTES, 1), SIGNATURE)
      await publishModel(fresh.writer, 'unlisted', lookupModel(TABLE_BYTES, 2), SIGNATURE)
      await change(
        [fresh.truth],
        aliasKey('unlisted'),
        json<Alias>(({ signature: _, ...alias }) => alias),
      )
      // The index of lists is not signed, and does not know yet what was changed behind it.
      await fresh.truth.delete(INDEX_HEAD_KEY)
      const list = (await (await fetch(`${fresh.worker.url}/v1/models`)).json()) as { data: { id: string }[] }
      expect(list.data.map(({ id }) => id)).toEqual(['listed'])
      await expect.poll(() => fresh.worker.logs.join('\n')).toContain('signature_invalid')
    } finally {
      await fresh.worker.dispose()
    }
  })
})

describe('an older release', () => {
  it('is refused by the Durable Object that has seen the newer one, and a rollback works', async () => {
    const made = await model('downgraded')
    const old = await readValue(place.truth, aliasKey(made.name))
    await place.writer.updateAlias(made.name, (alias) => ({
      versions: alias?.versions ?? {},
      live: alias?.live ?? [],
      visibility: 'public',
      created: {},
    }))
    expect(await outcome(made)).toBe('right')
    await change(both(), aliasKey(made.name), () => old ?? new Uint8Array())
    await expect.poll(() => outcome(made), { timeout: 40_000 }).toBe('500 release_outdated')
    // the operator releases again, above what was seen
    const sign = { adopt: false, above: 2 }
    const asItIs = (alias: Alias | null): Alias => alias as Alias
    await place.writer.updateAlias(made.name, asItIs, { sign, action: 'sign' })
    await expect.poll(() => outcome(made), { timeout: 40_000 }).toBe('right')
  })
})

describe('tokenizers and pages of embedding tables', () => {
  const { description, files } = multilingualModel(FEW_LANGUAGES, 'paged', { engines: ['verge'], hotRows: 1_000 })
  let packed: PackedModel
  beforeAll(async () => {
    packed = await pack({ ...description, pages: 'on' }, '.', files)
  })

  async function embed({ worker }: Place): Promise<string> {
    const answer = await fetch(`${worker.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'paged', input: 'a text of some words' }),
    })
    const text = await answer.text()
    return answer.ok ? 'answered' : `${answer.status} ${/weights_corrupt|signature_invalid/.exec(text)?.[0] ?? text}`
  }

  async function prepared(): Promise<Place> {
    const fresh = await start()
    await pushModel({ truth: fresh.truth, copies: [fresh.kv], writer: fresh.writer }, packed, {
      live: true,
      visibility: 'public',
      pageCopies: false,
    })
    return fresh
  }

  it('answer as they were pushed', async () => {
    const fresh = await prepared()
    try {
      expect(await embed(fresh)).toBe('answered')
    } finally {
      await fresh.worker.dispose()
    }
  })

  it.each(['tokenizer', 'pages'] as const)('are not used where the %s were changed in KV and R2', async (part) => {
    const fresh = await prepared()
    try {
      const { manifest } = packed
      const [artifact] = manifest.artifacts
      const blobs = part === 'pages' ? [artifact?.pages] : Object.values(manifest.files ?? {})
      for (const blob of blobs) {
        for (const { sha256: digest } of blob?.chunks ?? []) {
          await change([fresh.truth], blobKey(digest), every)
          const copy = await readValue(fresh.kv, blobKey(digest))
          if (copy !== null) await fresh.kv.put(blobKey(digest), every(copy))
        }
      }
      expect(blobsOf(manifest).length).toBeGreaterThan(1)
      expect(await embed(fresh)).toBe('500 weights_corrupt')
    } finally {
      await fresh.worker.dispose()
    }
  })
})

describe('the walk-through of docs/signing.md', () => {
  const key = (name: string): string => join(folder, name)
  let folder: string
  let state: string
  let models: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'verge-signing-'))
    state = join(folder, 'state')
    models = join(folder, 'models')
    await cp(join(ROOT, 'models/digits'), join(models, 'digits'), { recursive: true })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  /** Signs in the past, so that the signature has ended, by a process whose clock is off. */
  const late = (days: number) => ({
    NODE_OPTIONS: `--import ${pathToFileURL(join(ROOT, 'test/fixtures/node/shifted-clock.mjs')).href}`,
    VERGE_TEST_CLOCK_MS: String(-days * 86_400_000),
  })

  async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return verge([...args, '--persist-to', state], { cwd: ROOT, env })
  }

  async function store(): Promise<Alias> {
    const target = await openTarget({ local: state })
    try {
      return JSON.parse(new TextDecoder().decode((await readValue(target.truth, 'alias/digits')) ?? undefined)) as Alias
    } finally {
      await target.dispose()
    }
  }

  it('signs, serves, refuses what was tampered with and what has ended, and is repaired', async () => {
    const first = await startProcess({ models, persistTo: state, origin: 'none' })
    expect(await first.stop()).toBe(0)

    const created = await verge(['keys', 'sign', '--create', key('release.pem')], { cwd: ROOT })
    expect(created.code, created.stderr).toBe(0)
    const publicKey = /RELEASE_KEYS = "([\w-]{43})"/.exec(created.stdout)?.[1] ?? ''
    expect((await readFile(key('release.pem'), 'utf8')).startsWith('-----BEGIN PRIVATE KEY-----')).toBe(true)
    const signing = ['--signing-key', key('release.pem')]
    await chmod(key('release.pem'), 0o644)
    expect((await run(['keys', 'sign', 'digits', '--adopt', ...signing])).stderr).toContain('chmod 600')
    await chmod(key('release.pem'), 0o600)
    const signed = await run(['keys', 'sign', 'digits', '--adopt', '--expires', '90d', ...signing])
    expect([signed.code, signed.stdout], signed.stderr).toEqual([
      0,
      expect.stringMatching(/^digits is signed with key/),
    ])

    const vars = { RELEASE_KEYS: publicKey }
    const serving = await startProcess({ models, persistTo: state, origin: 'none', vars })
    try {
      const tampered = { ...(await store()), visibility: 'private' as const }
      await put(state, canonicalBytes(tampered))
      await expect.poll(() => metadata(serving.url), { timeout: 40_000 }).toBe('500 signature_invalid')
      const refused = await run(['release', 'digits', '--public', ...signing], vars)
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is not what was signed')])
      await run(['keys', 'sign', 'digits', '--adopt', '--above', '5', ...signing], vars)
      await run(['release', 'digits', '--public', ...signing], vars)
      await expect.poll(() => metadata(serving.url), { timeout: 40_000 }).toBe('200')
      const ended = await run(['keys', 'sign', 'digits', '--expires', '1d', ...signing], { ...vars, ...late(3) })
      expect(ended.code, ended.stderr).toBe(0)
      await expect.poll(() => metadata(serving.url), { timeout: 40_000 }).toBe('500 signature_invalid')
      const renewed = await run(['keys', 'sign', '--all', '--expires', '90d', ...signing], vars)
      expect(renewed.code, renewed.stderr).toBe(0)
      await expect.poll(() => metadata(serving.url), { timeout: 40_000 }).toBe('200')
    } finally {
      await serving.stop()
    }
  })
})

async function put(state: string, bytes: Uint8Array): Promise<void> {
  const target = await openTarget({ local: state })
  try {
    for (const each of [target.truth, ...target.copies]) await each.put('alias/digits', bytes)
  } finally {
    await target.dispose()
  }
}

async function metadata(url: string): Promise<string> {
  const answer = await fetch(`${url}/v2/models/digits`)
  const text = await answer.text()
  return answer.ok ? String(answer.status) : `${answer.status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? text}`
}
