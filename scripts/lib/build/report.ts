import { NATIVE_VERSION } from '../../../src/engine/native/support.ts'
import { VERSION } from '../../../src/version.ts'
import type { PackedModel } from '../packer.ts'
import { REPORT_SCHEMA, type Report, type SizedArtifact } from '../report/report.ts'
import { sizesOf } from '../report/sizes.ts'
import type { LoadedModel } from './load.ts'

type Facts = Pick<Report, 'options' | 'choices' | 'verification' | 'measured'> &
  Partial<Pick<Report, 'passes' | 'layers' | 'skipped' | 'accuracy' | 'measuredOriginal' | 'notes'>>

/** Puts a report together. @param notes of the build; those of packing are added */
export async function reportOf(
  { source, onnx }: LoadedModel,
  packed: PackedModel,
  { notes = [], ...facts }: Facts,
): Promise<Report> {
  const { model, version } = packed.manifest
  return {
    schema: REPORT_SCHEMA,
    model,
    version,
    source: source.label,
    tools: { verge: VERSION, onnxruntime: NATIVE_VERSION },
    original: { id: 'original', dtype: 'fp32', format: 'onnx', places: [], sizes: await sizesOf(onnx) },
    artifacts: await artifactsOf(packed),
    passes: [],
    layers: [],
    skipped: [],
    accuracy: null,
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
