import { isVergeError } from '../../core/errors.ts'
import { NATIVE_VERSION } from '../../engine/native/support.ts'
import { precisionOf } from '../../quantize/precision.ts'
import { VERSION } from '../../version.ts'
import { toOrtFormat } from '../pack/convert.ts'
import type { PackedModel } from '../pack/packer.ts'
import { REPORT_SCHEMA, type Report, type SizedArtifact } from '../report/report.ts'
import { sizesOf } from '../report/sizes.ts'
import type { LoadedModel } from './load.ts'

type Facts = Pick<Report, 'options' | 'choices' | 'verification' | 'measured'> &
  Partial<Pick<Report, 'passes' | 'layers' | 'skipped' | 'accuracy' | 'measuredOriginal' | 'trimming' | 'notes'>>

/** Puts a report together. @param notes of the build; those of packing are added */
export async function reportOf(
  { source, model: graph, onnx }: LoadedModel,
  packed: PackedModel,
  { notes = [], ...facts }: Facts,
): Promise<Report> {
  const { model, version } = packed.manifest
  const dtype = precisionOf(graph)
  const artifacts = await artifactsOf(packed)
  return {
    schema: REPORT_SCHEMA,
    model,
    version,
    source: source.label,
    tools: { verge: VERSION, onnxruntime: NATIVE_VERSION },
    original: { id: 'original', dtype, format: 'onnx', places: [], sizes: await sizesOf(onnx) },
    originalOrt: await originalOrt(onnx, dtype, artifacts),
    artifacts,
    passes: [],
    layers: [],
    skipped: [],
    accuracy: null,
    trimming: null,
    measuredOriginal: null,
    located: facts.verification?.artifacts.find(({ located }) => located !== null)?.located ?? null,
    ...facts,
    notes: [...notes, ...packed.notes],
  }
}

async function artifactsOf({ manifest, chunks }: PackedModel): Promise<SizedArtifact[]> {
  const sized: SizedArtifact[] = []
  for (const { id, dtype, format, places, chunks: pieces } of manifest.artifacts) {
    const bytes = Buffer.concat(pieces.map(({ sha256 }) => chunks.get(sha256) ?? new Uint8Array(0)))
    sized.push({ id, dtype, format, places, sizes: await sizesOf(bytes) })
  }
  return sized
}

/** The original as the edge would read it: ORT format is larger than ONNX by what its structures take. */
async function originalOrt(
  onnx: Uint8Array,
  dtype: string,
  artifacts: readonly SizedArtifact[],
): Promise<SizedArtifact | null> {
  if (!artifacts.some(({ format }) => format === 'ort')) return null
  try {
    const { bytes } = await toOrtFormat(onnx)
    return { id: 'original-ort', dtype, format: 'ort', places: [], sizes: await sizesOf(bytes) }
  } catch (error) {
    if (!isVergeError(error, 'model_invalid')) throw error
    return null
  }
}
