import { historyOf } from '../../catalog/alias-changes.ts'
import { asideReason } from '../../catalog/aside.ts'
import type { Artifact } from '../../catalog/manifest.ts'
import type { ReleaseKey } from '../../catalog/signing/public-keys.ts'
import { defineCommand } from '../command.ts'
import { keysNaming } from '../keys/naming.ts'
import { listModels, type ModelRecord, readModel, storedBytes, type VersionRecord } from '../push/inventory.ts'
import { type ManyModels, manyModels, manyModelsTable } from '../push/many-models.ts'
import { describeLive } from '../push/push.ts'
import { describeTrial } from '../release/trial.ts'
import { acceptedKeys } from '../signing/signing.ts'
import { describeState, type SignatureState, signatureState } from '../signing/state.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS, targetSpec } from '../target/arguments.ts'
import { modelNamed } from '../target/names.ts'
import { withTarget } from '../target/session.ts'
import { indexSweepOf, type Target } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { binarySize, counted, minuteOf, printable, table } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  ...TARGET_OPTIONS,
  json: { type: 'boolean', help: 'print JSON' },
  prefix: { type: 'string', value: 'TEXT', help: 'models whose names begin so' },
  all: { type: 'boolean', help: 'every model, where there are more than a hundred' },
  reindex: { type: 'boolean', help: 'make the index again that lists of models are read from' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Lists the models in a bucket, or one model with all its versions.

Usage: npx verge models [NAME] [options]

${helpOf(OPTIONS)}

Examples:
  npx verge models
  npx verge models digits
  npx verge models --prefix team-
  npx verge models --env production --json

${TARGET_ENVIRONMENT}`

export const modelsCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const [name, ...more] = positionals
    if (more.length > 0) throw new UsageError('Give one model name, or no name to list all models.')
    if (name !== undefined) modelNamed(name)
    if (values.reindex) {
      if (name !== undefined) throw new UsageError('--reindex is about all models. Leave the name out.')
      return withTarget(values, ({ target }) => reindexed(target))
    }
    const accepted = await acceptedKeys(targetSpec(values))
    return withTarget(values, async ({ target, signal }) => {
      if (name !== undefined) {
        const record = await readModel(target.truth, name, signal)
        if (record === null)
          throw new UsageError(`There is no model "${name}" in ${target.label}. "npx verge models" lists them.`)
        const shown = await withSignature(target, accepted, record, signal)
        if (values.json) return JSON.stringify(asJson(shown), null, 2)
        const keys = await keysNaming(target.truth, name, { signal })
        return describeModel(shown) + (keys === undefined ? '' : `\n\nkeys: ${keys}`)
      }
      const many = await manyModels(target.truth, { all: values.all === true, prefix: values.prefix }, signal)
      if (many !== null) return describeMany(many, values.json === true)
      const { models: listed, faults } = await listModels(target.truth, signal)
      const models: SignedRecord[] = []
      for (const record of listed) models.push(await withSignature(target, accepted, record, signal))
      if (faults.length > 0) process.exitCode = 1
      if (values.json) return JSON.stringify({ models: models.map(asJson), faults }, null, 2)
      const list =
        models.length > 0
          ? overview(models)
          : `There are no models in ${target.label}. Push one: npx verge push model.onnx`
      return [list, ...faults.map((fault) => `not listed: ${printable(fault)}`)].join('\n')
    })
  },
})

/** By the index: no alias and no manifest is read. */
function describeMany({ entries, more }: ManyModels, json: boolean): string {
  if (json) return JSON.stringify({ models: entries, more }, null, 2)
  if (entries.length === 0) return 'There are no models whose names begin so.'
  const hint = 'There are more models: --all lists every one, --prefix those whose names begin so.'
  return [manyModelsTable(entries), ...(more ? ['', hint] : [])].join('\n')
}

/** Reads every alias, and writes the index of them. */
async function reindexed({ label, truth }: Target): Promise<string> {
  const run = await indexSweepOf(truth).run(Number.POSITIVE_INFINITY, true)
  if (run.head === 'newer')
    throw new UsageError(`A newer Verge wrote the index of ${label}. Install that version here.`)
  if (!run.whole) throw new UsageError(`Other commands changed the index of ${label} at the same time. Try again.`)
  return `The index of ${label} has ${counted(run.models, 'model')}.`
}

interface SignedRecord extends ModelRecord {
  readonly signature: SignatureState
}

async function withSignature(
  { truth }: Pick<Target, 'truth'>,
  keys: readonly ReleaseKey[],
  record: ModelRecord,
  signal: AbortSignal,
): Promise<SignedRecord> {
  return { ...record, signature: await signatureState(truth, record.alias.model, keys, Date.now(), signal) }
}

/** One row a live version: a canary has two. Signatures are a column where there are any. */
function overview(models: readonly SignedRecord[]): string {
  const signing = models.some(({ signature }) => signature.state !== 'unsigned')
  const rows = models.flatMap(({ alias, versions, signature }) =>
    versions.map((record, index) => [
      index === 0 ? alias.model : '',
      versionShown(record.version, alias),
      percent(record.share),
      index === 0 ? alias.visibility : '',
      record.manifest?.downloadable ? 'download' : '',
      record.manifest?.task ?? (record.manifest === null ? '' : 'raw tensors'),
      record.manifest === null ? 'manifest cannot be read' : artifactsOf(record),
      index === 0 ? String(alias.generation) : '',
      ...(signing ? [index === 0 ? describeState(signature) : ''] : []),
    ]),
  )
  return table([
    [
      'model',
      'live',
      'share',
      'visibility',
      'browsers',
      'task',
      'artifacts',
      'generation',
      ...(signing ? ['signed'] : []),
    ],
    ...rows,
  ])
}

/** The canary is marked; where it was taken out, the first live version says so. */
function versionShown(version: string, { canary, live, stopped }: ModelRecord['alias']): string {
  if (version === canary?.version) return `${version} (canary)`
  return stopped !== undefined && version === live[0]?.version
    ? `${version} (canary ${stopped.version} stopped)`
    : version
}

function artifactsOf({ manifest }: VersionRecord): string {
  return (manifest?.artifacts ?? []).map(({ id, bytes: size }) => `${id} ${binarySize(size)}`).join(', ')
}

function describeModel({ alias, versions, signature }: SignedRecord): string {
  const { model, visibility, generation, live } = alias
  const history = historyOf(alias)
  const before = history.length === 0 ? '' : `; before that: ${history.toReversed().join(', ')}`
  const trial = describeTrial(alias)
  const lines = [
    `${model}: ${visibility}, generation ${generation}`,
    `live: ${describeLive(live)}${before}`,
    ...(trial === undefined ? [] : [`trial: ${trial}`]),
    `signed: ${describeState(signature)}`,
  ]
  for (const { version, digest, share, manifest, fault } of versions) {
    const shown = share > 0 ? `, live (${percent(share)})` : ''
    const at = alias.created?.[version]
    const pushed = at === undefined ? '' : `, pushed ${minuteOf(at * 1000)} UTC`
    lines.push('', `version ${version}${shown}${pushed}`, `  manifest  sha256 ${digest}`)
    if (manifest === null) {
      lines.push(`  ${printable(fault ?? 'cannot be read')}`)
      continue
    }
    lines.push(`  task      ${printable(manifest.task ?? 'raw tensors')}`)
    if (manifest.licence !== undefined) lines.push(`  licence   ${printable(manifest.licence)}`)
    if (manifest.source !== undefined) lines.push(`  source    ${printable(manifest.source)}`)
    if (manifest.downloadable) lines.push('  browsers  may download it')
    lines.push(`  stored    ${binarySize(storedBytes(manifest))}`)
    const rows = manifest.artifacts.flatMap((artifact) => [
      [
        `  ${artifact.id}`,
        artifact.dtype,
        binarySize(artifact.bytes),
        artifact.memoryBytes === undefined ? '' : `${binarySize(artifact.memoryBytes)} loaded`,
        artifact.places.join(', '),
        artifact.sha256,
      ],
      ...pagesRow(artifact),
    ])
    const aside = (manifest.aside ?? []).map((artifact) => [
      `  ${printable(artifact.id)}`,
      '',
      artifact.blobs === undefined ? '' : binarySize(artifact.blobs.reduce((sum, { bytes }) => sum + bytes, 0)),
      '',
      artifact.places.join(', '),
      printable(asideReason(artifact)),
    ])
    const files = Object.entries(manifest.files ?? {}).map(([name, blob]) => [
      `  ${name}`,
      '',
      binarySize(blob.bytes),
      '',
      '',
      blob.sha256,
    ])
    lines.push(table([['  artifact', 'dtype', 'size', 'memory', 'places', 'sha256'], ...rows, ...aside, ...files]))
  }
  return lines.join('\n')
}

/** The rows of an artifact's tables that stay in the stores. */
function pagesRow({ id, pages }: Artifact): string[][] {
  if (pages === undefined) return []
  const count = pages.tables.reduce((sum, table) => sum + table.pages, 0)
  return [
    [`  pages of ${id}`, '', binarySize(pages.bytes), `${counted(count, 'page')}, read as needed`, '', pages.sha256],
  ]
}

function asJson({ alias, versions, signature }: SignedRecord) {
  const { model, visibility, generation, live, canary, stopped } = alias
  return {
    model,
    visibility,
    generation,
    live,
    ...(canary && { canary }),
    ...(stopped && { stopped }),
    history: historyOf(alias),
    signature: { state: signature.state, ...signature.signature },
    versions: versions.map(({ version, digest, share, manifest, fault }) => ({
      version,
      digest,
      share,
      ...(alias.created?.[version] !== undefined && { created: alias.created[version] }),
      ...(fault !== undefined && { fault }),
      ...(manifest !== null && {
        ...(manifest.task !== undefined && { task: manifest.task }),
        ...(manifest.licence !== undefined && { licence: manifest.licence }),
        ...(manifest.source !== undefined && { source: manifest.source }),
        ...(manifest.downloadable && { downloadable: true }),
        bytes: storedBytes(manifest),
        artifacts: manifest.artifacts.map(({ chunks, pages, ...artifact }) => ({
          ...artifact,
          chunks: chunks.length,
          ...(pages && { pages: { ...pages, chunks: pages.chunks.length } }),
        })),
        ...(manifest.aside && { notUnderstood: manifest.aside.map(({ id, what }) => ({ id, what })) }),
        files: Object.entries(manifest.files ?? {}).map(([name, { sha256, bytes }]) => ({ name, sha256, bytes })),
      }),
    })),
  }
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
