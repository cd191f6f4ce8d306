import type { Visibility } from '../../catalog/alias.ts'
import {
  type Artifact,
  type Blob,
  MANIFEST_SCHEMA,
  type Manifest,
  manifestSchema,
  PLACES,
  type Place,
} from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import { ENGINES } from '../../config/values.ts'
import { isVergeError, VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Signature } from '../../core/tensors.ts'
import type { ArtifactInfo } from '../../engine/engine.ts'
import { TOKENIZER_IMAGE } from '../../media/text/compiled/format.ts'
import { TOKENIZER_FILE } from '../../media/text/model-tokenizer.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { refuseNonFinite } from '../../onnx/finite.ts'
import { randomNodes } from '../../onnx/random.ts'
import { checkTable } from '../../tasks/tables/layout.ts'
import { type MeasureMemory, measureMemory } from '../measure/memory.ts'
import { referenceSession } from '../verify/reference.ts'
import { sha256, toBlob } from './bytes.ts'
import { type CompilePacking, compiledArtifact } from './compiled-artifact.ts'
import { toOrtFormat } from './convert.ts'
import { type ArtifactDescription, type Description, readDescription } from './description.ts'
import { assertDownloadable, placesOfEdgeForms } from './downloadable.ts'
import { tableNotes } from './large-tables.ts'
import { type BoundedFile, boundedFile } from './loops.ts'
import { readChatTemplate, readPackedModelFile, readTokenizer } from './packed-files.ts'
import { describedPages } from './pages/described.ts'
import { refuseUnsendable } from './sendable.ts'
import { fileWithoutZipMaps } from './zip-maps.ts'

/** A model ready to be stored: its manifest, and its chunks by digest. */
export interface PackedModel {
  readonly manifest: Manifest
  readonly visibility: Visibility
  readonly hot: boolean
  readonly chunks: ReadonlyMap<string, Uint8Array>
  /** Notes for the person: an artifact that could not be converted, or does not fit the edge. */
  readonly notes: readonly string[]
}

/** Reads, checks and packs a model folder. @throws manifest_invalid, model_invalid */
export async function packFolder(folder: string, measure: MeasureMemory = measureMemory): Promise<PackedModel> {
  return pack(await readDescription(folder), folder, undefined, measure)
}

/**
 * Packs a described model. The same files give the same manifest, byte for byte, on every machine.
 * @param folder where the description's files lie
 * @param given contents of files that are taken from here instead
 * @param measure what measures the memory that an artifact takes
 * @throws manifest_invalid, model_invalid
 */
export async function pack(
  description: Description,
  folder: string,
  given: ReadonlyMap<string, Uint8Array> = new Map(),
  measure: MeasureMemory = measureMemory,
): Promise<PackedModel> {
  const chunks = new Map<string, Uint8Array>()
  const notes: string[] = []
  const store = (bytes: Uint8Array, between = 1): Blob => {
    const { blob, pieces } = toBlob(bytes, LIMITS.chunkBytes - (LIMITS.chunkBytes % between))
    for (const [digest, piece] of pieces) chunks.set(digest, piece)
    return blob
  }

  let signature: Signature | undefined
  let classes: readonly string[] | undefined
  const artifacts: Artifact[] = []
  const random: string[] = []
  const pageTable = await describedPages(description, folder, given)
  for (const described of description.artifacts) {
    const raw = given.get(described.file) ?? (await readPackedModelFile(folder, described.file))
    const { bytes, classes: named, note } = await fileWithoutZipMaps(raw, new AbortController().signal)
    classes ??= named
    if (note !== undefined) notes.push(`${described.file}: ${note}`)
    const own = await readSignature(described.file, bytes)
    signature ??= own
    assertSameSignature(described.file, signature, own)
    if (isRandomModel(described.file, bytes)) random.push(described.file)
    const forms = await packArtifact(described, bytes, description, { store, notes, measure, pageTable })
    notes.push(...tableNotes(described, bytes, description, forms))
    artifacts.push(...forms)
  }
  if (description.artifacts.length === 0 && description.placement !== 'origin') {
    throw new VergeError('manifest_invalid', `Model "${description.name}" has no artifacts.`)
  }
  if (artifacts.length === 0 && description.artifacts.length > 0) {
    throw new VergeError(
      'manifest_invalid',
      `Model "${description.name}" cannot run at any place that verge.json allows: ${notes.join('; ')}.`,
    )
  }
  if (!artifacts.some((artifact) => artifact.places.includes('edge'))) {
    notes.push('no artifact runs at the edge')
  }

  assertDownloadable(description, artifacts)
  const { preprocess, postprocess, tokenizer, chatTemplate } = description
  const packed =
    tokenizer === undefined ? undefined : await readTokenizer(folder, tokenizer, given, description.placement)
  const files: Record<string, Blob> = {
    ...(packed && { [TOKENIZER_FILE]: store(packed.bytes) }),
    ...(packed?.image && { [TOKENIZER_IMAGE]: store(packed.image) }),
    ...(chatTemplate !== undefined && {
      [CHAT_TEMPLATE_FILE]: store(await readChatTemplate(folder, chatTemplate, given)),
    }),
  }
  const manifest: Manifest = manifestSchema.parse(
    withoutUndefined({
      schema: MANIFEST_SCHEMA,
      model: description.name,
      version: description.version,
      task: description.task,
      licence: description.licence,
      source: description.source,
      description: description.description,
      inputs: signature?.inputs ?? description.inputs ?? [],
      outputs: signature?.outputs ?? description.outputs ?? [],
      labels: description.labels ?? classes,
      activation: description.activation,
      cache: cacheOf(description, random, notes),
      image: preprocess?.image,
      detection: postprocess?.detection,
      keypoints: postprocess?.keypoints,
      imageFeatures: postprocess?.imageFeatures,
      imageOutput: postprocess?.imageOutput,
      segmentation: postprocess?.segmentation,
      matte: postprocess?.matte,
      depth: postprocess?.depth,
      text: preprocess?.text,
      audio: preprocess?.audio,
      embedding: preprocess?.embedding,
      bytes: preprocess?.bytes,
      tabular: preprocess?.tabular,
      generation: preprocess?.generation,
      placement: description.placement,
      batching: description.batching,
      // what is left out means no, so that a model that says so has the same manifest
      downloadable: description.downloadable || undefined,
      files: Object.keys(files).length > 0 ? files : undefined,
      artifacts,
    }),
  )
  if (manifest.task?.startsWith('tabular-')) checkTable(manifest)
  return { manifest, visibility: description.visibility ?? 'private', hot: description.hot, chunks, notes }
}

interface Packing extends CompilePacking {
  readonly measure: MeasureMemory
}

/** The edge's forms of a model file, Verge's own engine's first, and the file itself for the origin and the browser. */
async function packArtifact(
  described: ArtifactDescription,
  bytes: Uint8Array,
  description: Description,
  packing: Packing,
): Promise<Artifact[]> {
  const { file, dtype, places: allowed, accuracy } = described
  const { store, notes } = packing
  const places: readonly Place[] = allowed ?? PLACES
  const elsewhere = places.filter((place) => place !== 'edge')
  const plain = { id: `onnx-${dtype}`, format: 'onnx' as const, dtype, ...(accuracy && { accuracy }) }
  const besides = (): Artifact[] =>
    elsewhere.length === 0 ? [] : [{ ...plain, places: [...elsewhere], ...store(bytes) }]
  if (!places.includes('edge')) return besides()
  const atEdge = placesOfEdgeForms(places, description)
  const engines = described.engines ?? description.engines ?? ENGINES
  const own = engines.includes('verge') ? await compiledArtifact(described, bytes, description, packing) : []
  const compiled = own.map((artifact) => ({ ...artifact, places: atEdge }))
  if (!engines.includes('onnxruntime')) return [...compiled, ...besides()]
  let bounded: BoundedFile
  try {
    bounded = boundedFile(bytes, file, description.loopSteps)
    notes.push(...bounded.notes)
  } catch (error) {
    if (!isOnnxError(error)) throw error
    notes.push(`${file}: cannot run at the edge: ${error.message}`)
    return besides()
  }
  // What a run costs was measured on the form that the edge prefers; of the other it is estimated.
  const rest = compiled.length > 0 ? { ...described, cost: undefined } : described
  const fitted = await runtimeArtifact(
    rest,
    { bytes, bounded, settings: description.preprocess },
    packing,
    compiled.length > 0,
  )
  if (fitted === undefined) return [...compiled, ...besides()]
  // The plain file serves everywhere where it serves the edge.
  const whole = fitted.format === 'onnx' && fitted.sha256 === sha256(bytes)
  return [
    ...compiled,
    ...(whole ? [{ ...fitted, id: plain.id, places: [...places] }] : [{ ...fitted, places: atEdge }, ...besides()]),
  ]
}

interface RuntimeFile {
  readonly bytes: Uint8Array
  readonly bounded: BoundedFile
  readonly settings: Description['preprocess']
}

/**
 * What ONNX Runtime runs at the edge: ORT format, or the plain file. Undefined where it runs neither.
 * @param served by Verge's own engine: then the edge lacks nothing
 */
async function runtimeArtifact(
  { file, dtype, cost, accuracy }: ArtifactDescription,
  { bytes, bounded, settings }: RuntimeFile,
  { store, notes, measure }: Packing,
  served: boolean,
): Promise<Artifact | undefined> {
  const common = {
    id: `edge-${dtype}`,
    dtype,
    places: ['edge' as const],
    ...(bounded.loops.length > 0 && { loops: [...bounded.loops] }),
    ...(cost && { cost }),
    ...(accuracy && { accuracy }),
  }
  try {
    const converted = await toOrtFormat(bounded.bytes)
    const memory = await measure(infoOf('ort', converted.bytes), converted.bytes, bytes, settings)
    refuseTooLarge(memory)
    return { ...common, format: 'ort', runtime: converted.runtime, ...memory, ...store(converted.bytes) }
  } catch (error) {
    if (!isVergeError(error, 'model_invalid') && !isVergeError(error, 'model_too_large')) throw error
    if (!served) notes.push(`${file}: ${error.message}`)
  }
  try {
    const memory = await measure(infoOf('onnx', bounded.bytes), bounded.bytes, bytes, settings)
    refuseTooLarge(memory)
    notes.push(`${file}: the edge uses the plain ONNX file instead, which needs more memory`)
    return { ...common, format: 'onnx', ...memory, ...store(bounded.bytes) }
  } catch (error) {
    if (!isVergeError(error, 'model_invalid') && !isVergeError(error, 'model_too_large')) throw error
    notes.push(`${file}: ${served ? onlyOwn(error) : `cannot run at the edge: ${error.message}`}`)
    return undefined
  }
}

function onlyOwn({ code, message }: VergeError): string {
  return code === 'model_too_large'
    ? "only Verge's own engine runs it at the edge, because it does not fit into an isolate with ONNX Runtime"
    : `only Verge's own engine runs it at the edge: ${message}`
}

/** A session that no isolate would admit is not worth storing for the edge. @throws model_too_large */
function refuseTooLarge({ memoryBytes = 0 }: Awaited<ReturnType<MeasureMemory>>): void {
  if (memoryBytes <= LIMITS.sessionBudgetBytes) return
  throw new VergeError(
    'model_too_large',
    `ONNX Runtime holds ${memoryBytes} bytes of memory for it, and an isolate has ${LIMITS.sessionBudgetBytes} for models`,
  )
}

/**
 * Checks that a model's weights are numbers.
 * @returns whether it draws random numbers
 * @throws model_invalid naming the weights
 */
function isRandomModel(file: string, bytes: Uint8Array): boolean {
  try {
    const model = decodeModel(bytes)
    refuseNonFinite(model)
    return randomNodes(model).length > 0
  } catch (error) {
    if (!isOnnxError(error)) throw error
    throw new VergeError('model_invalid', `${file}: ${error.message}`, { cause: error })
  }
}

/** Models with random outputs are not cached. @throws manifest_invalid if their cache is enabled */
function cacheOf({ cache }: Description, random: readonly string[], notes: string[]): Description['cache'] {
  if (random.length === 0 || cache === false) return cache
  if (cache !== undefined) {
    throw new VergeError(
      'manifest_invalid',
      `${random.join(', ')} draws random numbers, so its answers cannot be cached. Set "cache": false in verge.json.`,
    )
  }
  notes.push(`${random.join(', ')} draws random numbers: its answers are not cached`)
  return false
}

function infoOf(format: 'onnx' | 'ort', bytes: Uint8Array): ArtifactInfo {
  return { sha256: sha256(bytes), format, bytes: bytes.length }
}

/** @throws model_invalid that names the file, and the input or output that cannot be sent where there is one */
async function readSignature(file: string, bytes: Uint8Array): Promise<Signature> {
  try {
    const session = await referenceSession(bytes, new AbortController().signal).catch((error: unknown) => {
      // The runtime does not say which of the inputs and outputs it has no type for.
      if (isVergeError(error, 'engine_unsupported')) refuseUnsendable(decodeModel(bytes))
      throw error
    })
    session.dispose()
    const { inputs, outputs } = session.signature
    if ([...inputs, ...outputs].some(({ datatype }) => datatype === null)) refuseUnsendable(decodeModel(bytes))
    return session.signature
  } catch (error) {
    if (isOnnxError(error)) throw new VergeError('model_invalid', `${file}: ${error.message}`, { cause: error })
    if (!isVergeError(error)) throw error
    throw new VergeError(error.code, `${file}: ${error.message}`, { cause: error })
  }
}

function assertSameSignature(file: string, first: Signature, other: Signature): void {
  const describe = ({ inputs, outputs }: Signature): string =>
    JSON.stringify([inputs, outputs].map((specs) => specs.map(({ name, datatype }) => [name, datatype])))
  if (describe(first) === describe(other)) return
  throw new VergeError(
    'manifest_invalid',
    `${file} has different inputs or outputs than the first artifact. All artifacts of a version need the same signature.`,
  )
}

function withoutUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
