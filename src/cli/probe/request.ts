import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../../catalog/manifest.ts'
import { fieldOf, gist, type Visitor } from '../doctor/visitor.ts'
import { type ModelProbe, madeUpProbes, probeFor } from '../local/probe.ts'
import { readDescription } from '../pack/description.ts'
import { UsageError } from '../terminal/command-line.ts'

/** What both versions are asked. */
export type ProbeRequest = Pick<ModelProbe, 'path' | 'body' | 'contentType'>

/**
 * A request that the model answers: a sample of its folder where there is one, else a request by its task or by its metadata.
 * @param modelsFolder where models lie that come with samples
 * @throws UsageError where none can be made
 */
export async function requestOf(visitor: Visitor, model: string, modelsFolder: string): Promise<ProbeRequest> {
  const metadata = await visitor.ask(`/v2/models/${model}`, { asOperator: true })
  if (metadata.status !== 200) throw new UsageError(`Model "${model}" has no metadata there: ${gist(metadata)}`)
  const folder = join(modelsFolder, model)
  const task = existsSync(join(folder, 'verge.json')) ? (await readDescription(folder)).task : undefined
  const inputs = fieldOf(metadata.json, 'inputs') as Manifest['inputs'] | undefined
  const manifest = {
    schema: 1,
    model,
    version: '1',
    inputs: inputs ?? [],
    outputs: [],
    artifacts: [],
    ...(task && { task }),
  }
  const probe = (await probeFor(manifest, folder)) ?? madeUpProbes(manifest)[0]
  if (probe !== undefined) return probe
  throw new UsageError(
    `No request to model "${model}" can be made up, because its input is large. Give one: --data FILE`,
  )
}

/** The body of a file, for the model's task. @throws UsageError if the file cannot be read */
export async function requestFrom(file: string, contentType: string, model: string): Promise<ProbeRequest> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--data ${file} cannot be read (${error.code}).`, { cause: error })
  })
  return { path: `/run/${model}`, contentType, body: new Uint8Array(bytes) }
}

/** Names the version, in the path of the Open Inference Protocol and in the query elsewhere. */
export function pinned(path: string, version: string): string {
  const named = encodeURIComponent(version)
  return path.endsWith('/infer') ? path.replace(/\/infer$/, `/versions/${named}/infer`) : `${path}?version=${named}`
}
