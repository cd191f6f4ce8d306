import { parseArgs } from 'node:util'
import { isVergeError, VergeError } from '../src/core/errors.ts'
import { runScript } from './lib/command-line.ts'
import { type PackedModel, packFolder } from './lib/packer.ts'
import { modelFolders, STATE } from './lib/project.ts'
import { type Published, publish } from './lib/publish.ts'
import { openTarget } from './lib/target/open.ts'

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
  const target = await openTarget({ local: persistTo })
  try {
    const published: Published[] = []
    for (const packed of models) published.push(await publish(target.writer, packed))
    return published
  } catch (error) {
    if (!isVergeError(error, 'conflict')) throw error
    throw new VergeError(
      error.code,
      `${error.message}\nChange "version" in its verge.json, or delete ${persistTo} to begin with empty local storage.`,
      { cause: error },
    )
  } finally {
    await target.dispose()
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
