import * as z from 'zod'
import {
  artifactSchema,
  blobSchema,
  modelName,
  sha256Hex,
  understoodSchema,
  versionName,
} from '../../catalog/manifest.ts'

/** The fields of a manifest that a run needs, and the licence of what is downloaded. Blobs are beside them. */
export const browserManifestSchema = understoodSchema.pick({
  schema: true,
  model: true,
  version: true,
  task: true,
  licence: true,
  inputs: true,
  outputs: true,
  labels: true,
  activation: true,
  image: true,
  detection: true,
  imageFeatures: true,
  imageOutput: true,
  segmentation: true,
  matte: true,
  depth: true,
  text: true,
  audio: true,
  embedding: true,
  bytes: true,
  tabular: true,
  generation: true,
  batching: true,
})

/**
 * `GET /browser/{model}`: everything that a browser needs to run a version, but the bytes. With `artifacts` and `files`
 * the fields of `manifest` are a manifest again.
 */
export const browserPlanSchema = z
  .object({
    model: modelName,
    version: versionName,
    digest: sha256Hex.meta({ description: "SHA-256 of the version's manifest: another one is another version" }),
    manifest: browserManifestSchema,
    artifacts: z.array(artifactSchema).meta({
      description: 'Artifacts for the place `browser`. Each chunk is at /weights/{model}/{sha256}',
    }),
    files: z.record(z.string(), blobSchema).meta({ description: 'Further files, such as the tokenizer, by name' }),
  })
  .meta({ id: 'BrowserPlan' })
export type BrowserPlan = z.infer<typeof browserPlanSchema>

/** Where a version's plan is. @param version left out: one that is live. */
export function browserPlanPath(model: string, version?: string): string {
  return `/browser/${encodeURIComponent(model)}${versionQuery(version)}`
}

/** Where a chunk of a version's artifacts, pages and files is. @param version left out: any that is live. */
export function weightsPath(model: string, sha256: string, version?: string): string {
  return `/weights/${encodeURIComponent(model)}/${encodeURIComponent(sha256)}${versionQuery(version)}`
}

function versionQuery(version: string | undefined): string {
  return version === undefined ? '' : `?version=${encodeURIComponent(version)}`
}
