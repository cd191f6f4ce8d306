import { parseArgs } from 'node:util'
import { isVergeError, VergeError } from '../core/errors.ts'
import { modelFolders, STATE } from './files/project.ts'
import { type PackedModel, packFolder } from './pack/packer.ts'
import { notLive, publish } from './push/publish.ts'
import { type PushResult, pushModel } from './push/push.ts'
import { openTarget } from './target/open.ts'
import { runScript } from './terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from './terminal/options.ts'

export interface SeedOptions {
  /** The folder that `wrangler dev --persist-to` names. */
  readonly persistTo: string
  readonly models: readonly PackedModel[]
  /** Makes the versions live and visible as their folders say, whatever was decided before. */
  readonly release?: boolean
}

/** Who makes the changes, for the audit log. */
const SEEDING = 'seeding'

/**
 * Writes models into the local R2 and KV of `wrangler dev`, in one process. Stored objects are not written again, and
 * releases and visibility set by commands stay unchanged (see `publish`).
 * @throws conflict if a version exists with other contents
 */
export async function seed({ persistTo, models, release = false }: SeedOptions): Promise<PushResult[]> {
  const target = await openTarget({ local: persistTo }, { by: SEEDING })
  try {
    const published: PushResult[] = []
    for (const packed of models) {
      published.push(
        release
          ? await pushModel(target, packed, { live: true, visibility: packed.visibility })
          : await publish(target.writer, packed),
      )
    }
    return published
  } catch (error) {
    if (!isVergeError(error, 'conflict')) throw error
    throw new VergeError(
      error.code,
      `${error.message}\nChange "version" in its verge.json, or delete ${persistTo} to start with empty local storage.`,
      { cause: error },
    )
  } finally {
    await target.dispose()
  }
}

/** One line per model with the result. */
export function describePublished(result: PushResult): string {
  const { model, version, generation, written } = result
  const what = written === 0 ? 'nothing to write' : `${written} written`
  const aside = notLive(result)
  return `${model} ${version}: ${what} (generation ${generation})${aside === '' ? '' : `; ${aside}`}`
}

const OPTIONS = {
  'persist-to': { type: 'string', value: 'DIR', help: 'local storage (default: .wrangler/state)' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Packs models and writes them into the local R2 and KV of "wrangler dev". Running it again writes nothing. If you pushed,
released or hid a model by a command, its new version is stored but not made live.

Usage: npm run seed -- [options] [model folder ...]

${helpOf(OPTIONS)}

Default: every models/<name>/ with a verge.json.`

/** The command `npm run seed`. */
export async function seedCommand(): Promise<void> {
  await runScript(HELP, async () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: OPTIONS,
    })
    if (values.help) return HELP
    const folders = positionals.length > 0 ? positionals : await modelFolders()
    const models: PackedModel[] = []
    for (const folder of folders) models.push(await packFolder(folder))
    const published = await seed({ persistTo: values['persist-to'] ?? STATE, models })
    return published.map(describePublished).join('\n')
  })
}
