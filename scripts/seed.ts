import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { getPlatformProxy } from 'wrangler'
import { CatalogWriter } from '../src/catalog/writer.ts'
import { isVergeError, VergeError } from '../src/core/errors.ts'
import { KvStore } from '../src/weights/kv.ts'
import { R2Store } from '../src/weights/r2.ts'
import { nodeSha256 } from './lib/bytes.ts'
import { runScript } from './lib/command-line.ts'
import { type PackedModel, packFolder } from './lib/packer.ts'
import { modelFolders, ROOT, STATE } from './lib/project.ts'
import { type Published, publish } from './lib/publish.ts'

interface Bindings {
  readonly BUCKET: ConstructorParameters<typeof R2Store>[0]
  readonly KV: ConstructorParameters<typeof KvStore>[0]
}

export interface SeedOptions {
  /** The folder that `wrangler dev --persist-to` names. */
  readonly persistTo: string
  readonly models: readonly PackedModel[]
}

/**
 * Writes models into the local R2 and KV of `wrangler dev`, in one process. What is there already is not written again.
 * @throws conflict if a version is there with other contents
 */
export async function seed({ persistTo, models }: SeedOptions): Promise<Published[]> {
  const proxy = await getPlatformProxy<Bindings>({
    configPath: join(ROOT, 'wrangler.toml'),
    // getPlatformProxy wants the folder for one version of the state, in which wrangler dev keeps its own.
    persist: { path: join(persistTo, 'v3') },
  })
  try {
    const writer = new CatalogWriter(new R2Store(proxy.env.BUCKET), [new KvStore(proxy.env.KV)], {
      sha256: nodeSha256,
    })
    const published: Published[] = []
    for (const packed of models) published.push(await publish(writer, packed))
    return published
  } catch (error) {
    if (!isVergeError(error, 'conflict')) throw error
    throw new VergeError(
      error.code,
      `${error.message}\nChange "version" in its verge.json, or delete ${persistTo} to begin with empty local storage.`,
      { cause: error },
    )
  } finally {
    await proxy.dispose()
  }
}

/** One line for each model: what was written, or that nothing had to be. */
export function describePublished({ model, version, generation, written }: Published): string {
  const what = written === 0 ? 'nothing to write' : `${written} written`
  return `${model} ${version}: ${what} (generation ${generation})`
}

const HELP = `Writes packed models into the local R2 and KV that "wrangler dev" reads. Repeating it writes nothing.

Usage: npm run seed -- [options] [model folder ...]

  --persist-to DIR   local storage (default: .wrangler/state)
  --help             this text

Without folders: every models/<name>/ that has a verge.json.`

if (import.meta.main) {
  await runScript(HELP, async () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { 'persist-to': { type: 'string' }, help: { type: 'boolean' } },
    })
    if (values.help) return HELP
    const folders = positionals.length > 0 ? positionals : await modelFolders()
    const models: PackedModel[] = []
    for (const folder of folders) models.push(await packFolder(folder))
    const published = await seed({ persistTo: values['persist-to'] ?? STATE, models })
    return published.map(describePublished).join('\n')
  })
}
