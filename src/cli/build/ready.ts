import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { type Description, readDescription, withEngines, withoutOwnEngine } from '../pack/description.ts'
import { type PackedModel, pack } from '../pack/packer.ts'
import { renderHtml } from '../report/html.ts'
import { renderJson, type StatedAccuracy } from '../report/report.ts'
import { UsageError } from '../terminal/command-line.ts'
import { TRIM_OPTIONS } from '../trim/options.ts'
import { type BuildSettings, type Built, choiceOf, KEPT_NOTE, needsOf, readyWorker } from './build.ts'
import type { BuildContext } from './context.ts'
import { IMAGE_OPTIONS } from './image-settings.ts'
import { keptMemory } from './kept-memory.ts'
import { loadModel } from './load.ts'
import type { PageSettings } from './page-settings.ts'
import { prove } from './prove.ts'
import { QUANTIZE_OPTIONS } from './quantize-settings.ts'
import { isRandom, randomNote } from './random.ts'
import { reportOf } from './report.ts'
import { sameBeforeProof } from './same-version.ts'
import { samplesFor } from './samples.ts'

/** Where reports on folders that were not built here lie, a folder each. */
export const REPORTS = join(ROOT, '.verge/reports')

/** Options that cause a complete folder to be built again. */
const REBUILDING = [
  ...Object.keys({ ...QUANTIZE_OPTIONS, ...TRIM_OPTIONS, ...IMAGE_OPTIONS }),
  'task',
  'labels',
  'file',
]

/**
 * Whether a source is a model folder that says all about itself: then it is pushed as it is, unless something is asked
 * for that it is not.
 */
export async function isReady(spec: string, { asked }: Pick<BuildSettings, 'asked'>): Promise<boolean> {
  if (REBUILDING.some((name) => Object.hasOwn(asked, name))) return false
  const found = await stat(spec).catch(() => undefined)
  return found?.isDirectory() === true && existsSync(join(spec, 'verge.json'))
}

/** Whether a folder that is ready names no weights: a server of the operator's has them. @throws manifest_invalid */
export async function isElsewhere(folder: string): Promise<boolean> {
  return (await readDescription(folder)).artifacts.length === 0
}

/**
 * Packs a model folder with the changes from options.
 * @param without precisions in which it is packed without Verge's own engine
 * @throws manifest_invalid, model_invalid
 */
export async function packReady(
  folder: string,
  { name, version, licence, loopSteps, engines, sameBits, paging, visibility, downloadable }: BuildSettings['model'],
  without: readonly string[] = [],
): Promise<PackedModel> {
  const written = await readDescription(folder)
  const description = engines === undefined ? written : withEngines(written, engines)
  return pack(
    {
      ...withoutOwnEngine(description, without),
      ...(name !== undefined && { name }),
      ...(version !== undefined && { version }),
      ...(licence !== undefined && { licence }),
      ...(loopSteps !== undefined && { loopSteps }),
      ...(sameBits !== undefined && { sameBits }),
      ...paging.fields,
      ...(visibility !== undefined && { visibility }),
      ...(downloadable !== undefined && { downloadable }),
    },
    folder,
    await hotTextsOf(paging),
    keptMemory(),
  )
}

/** The texts that an option gives, which are not in the folder. @throws UsageError */
async function hotTextsOf({ fields, texts }: PageSettings): Promise<ReadonlyMap<string, Uint8Array>> {
  if (texts === undefined || fields.hotTexts === undefined) return new Map()
  const bytes = await readFile(texts).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--hot-texts ${texts} cannot be read (${error.code}).`, { cause: error })
  })
  return new Map([[fields.hotTexts, new Uint8Array(bytes)]])
}

/** What the folder says. Whoever changed the weights may have left it as it was. */
function copiedAccuracy({ artifacts }: Pick<Description, 'artifacts'>): StatedAccuracy | null {
  const stated = artifacts.find(({ accuracy }) => accuracy !== undefined)?.accuracy
  return stated === undefined ? null : { ...stated, copied: true }
}

/** Packs, proves and reports on a model folder as it is. @throws manifest_invalid, UsageError */
export async function readyModel(spec: string, settings: BuildSettings, context: BuildContext): Promise<Built> {
  readyWorker(settings)
  const folder = resolve(spec)
  const description = await readDescription(folder)
  const original = description.artifacts.find(({ dtype }) => dtype === 'fp32') ?? description.artifacts[0]
  const loaded = await loadModel(join(folder, original?.file ?? ''), context)
  // A description that forbids caching says that the model does not answer the same twice.
  const random = isRandom(loaded, settings.model.allowRandom || description.cache === false)
  const before = await packReady(folder, settings.model)
  const { model, version } = before.manifest
  const { manifests } = await settings.existing(model)
  await settings.beforeProof?.(before, sameBeforeProof(manifests, before.manifest, version))
  const tokenizer = description.tokenizer
  const files = new Map(tokenizer === undefined ? [] : [[tokenizer, join(folder, tokenizer)]])
  const source = { ...loaded.source, files }
  const set = await samplesFor({ ...loaded, source }, description, needsOf(settings), context)
  const wanted = { ...settings, ...settings.samples, verify: settings.verify && !random }
  const without = (dtypes: readonly string[]) => packReady(folder, settings.model, dtypes)
  const { packed, verification, measured, kept } = await prove(before, loaded, set, wanted, context, without)
  const report = await reportOf(loaded, packed, {
    options: settings.asked,
    choices: [{ what: 'artifacts', why: 'from its verge.json' }, ...(random ? [choiceOf(randomNote(loaded))] : [])],
    verification,
    measured,
    notes: kept ? [KEPT_NOTE] : [],
    accuracy: copiedAccuracy(description),
  })
  const reports = join(REPORTS, packed.manifest.model)
  await writeWhole(join(reports, 'report.json'), renderJson(report))
  await writeWhole(join(reports, 'report.html'), renderHtml(report))
  return { folder, reports, packed, report, sample: set.samples[0] }
}
