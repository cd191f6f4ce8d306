import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { aliasJson, checkAlias } from '../catalog/parse.ts'
import { type GenerationVerdict, judgeGeneration, type KeptGeneration } from '../catalog/signing/generations.ts'
import { KEY_ID, type ReleaseKey } from '../catalog/signing/public-keys.ts'
import type { ReleaseMemory } from '../catalog/signing/release-check.ts'
import { writeWhole } from '../cli/files/whole-file.ts'
import { UsageError } from '../cli/terminal/command-line.ts'
import { sha256Hex } from '../core/sha256.ts'
import { nodeSha256 } from './sha256.ts'

const fileSchema = z.object({
  schema: z.literal(1),
  models: z.record(
    z.string(),
    z.array(
      z.object({
        key: z.string().regex(KEY_ID),
        generation: z.number().int().positive(),
        digest: z.string().length(64),
      }),
    ),
  ),
})

/**
 * The generations that an origin has seen, in a file of its cache folder. They survive a restart, and are lost with the
 * folder. The release check verifies signatures before it asks.
 */
export class ReleaseFile implements ReleaseMemory {
  readonly #path: string
  readonly #accepted: readonly string[]
  readonly #models: Map<string, readonly KeptGeneration[]>
  /** Of the write in progress: writes follow one another. */
  #written: Promise<void> = Promise.resolve()

  private constructor(path: string, keys: readonly ReleaseKey[], models: Map<string, readonly KeptGeneration[]>) {
    this.#path = path
    this.#accepted = keys.map(({ id }) => id)
    this.#models = models
  }

  /** @throws UsageError if the file is damaged: without it an older release would be taken for the newest one */
  static async open(path: string, keys: readonly ReleaseKey[]): Promise<ReleaseFile> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return new ReleaseFile(path, keys, new Map())
    try {
      const { models } = fileSchema.parse(JSON.parse(text))
      return new ReleaseFile(path, keys, new Map(Object.entries(models)))
    } catch (cause) {
      throw new UsageError(
        `${path}, which keeps the generations of signed releases, is damaged. Delete it to begin anew: an older release than those that ` +
          'this origin has seen would then be accepted once.',
        { cause },
      )
    }
  }

  async keep(model: string, bytes: Uint8Array): Promise<GenerationVerdict> {
    const { generation, signature } = checkAlias(aliasJson(bytes, model), model)
    if (signature === undefined) throw new Error('the release is not signed')
    const release = { key: signature.key, generation, digest: await sha256Hex(nodeSha256, bytes) }
    const kept = this.#models.get(model) ?? []
    const verdict = judgeGeneration(kept, this.#accepted, release)
    const isKnown = kept.some(({ key, digest }) => key === release.key && digest === release.digest)
    if (!verdict.accepted || isKnown) return verdict
    this.#models.set(model, [...kept.filter(({ key }) => key !== release.key), release])
    await this.#write()
    return verdict
  }

  #write(): Promise<void> {
    const write = (): Promise<void> => writeWhole(this.#path, JSON.stringify(this.#content()))
    this.#written = this.#written.then(write, write)
    return this.#written
  }

  #content(): z.infer<typeof fileSchema> {
    const models = Object.fromEntries([...this.#models].map(([model, kept]) => [model, [...kept]]))
    return { schema: 1, models }
  }
}
