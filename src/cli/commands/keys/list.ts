import { defineCommand } from '../../command.ts'
import { keyJson, limitsText, stateOf, timeText } from '../../keys/describe.ts'
import { type KeyInventory, listKeys, outdatedCopies } from '../../keys/inventory.ts'
import { lastUses } from '../../keys/last-use.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { withTarget } from '../../target/session.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { counted, printable, table } from '../../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'

const OPTIONS = {
  ...TARGET_OPTIONS,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Lists the keys of callers, the oldest first, without their secrets. Copies in KV that differ from R2 are written again.

Usage: npx verge keys list [options]

${helpOf(OPTIONS)}

Examples:
  npx verge keys list
  npx verge keys list --env production --json

${TARGET_ENVIRONMENT}`

export const listCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    if (positionals.length > 0)
      throw new UsageError('"npx verge keys list" takes no names. "npx verge keys show ID" shows one key.')
    return withTarget(values, async ({ target, signal }) => {
      const inventory = await listKeys(target.truth, signal)
      const uses = await lastUses(target.truth, undefined, signal)
      const outdated = await outdatedCopies(target.truth, target.copies, signal)
      const writer = keyWriterOf(target)
      for (const id of outdated) await writer.refreshCopies(id)
      if (inventory.unreadable.size > 0) process.exitCode = 1
      const now = Date.now()
      if (values.json) {
        const keys = inventory.keys.map((record) => keyJson(record, { lastUsedAt: uses.get(record.id) }, now))
        return JSON.stringify(
          { keys, unreadable: Object.fromEntries(inventory.unreadable), refreshed: outdated },
          null,
          2,
        )
      }
      const refreshed =
        outdated.length === 0
          ? []
          : [
              `${counted(outdated.length, 'copy').replace('copys', 'copies')} in KV differed and ${outdated.length === 1 ? 'was' : 'were'} written again: ${outdated.join(', ')}`,
            ]
      return [overview(inventory, uses, target.label, now), ...refreshed].join('\n')
    })
  },
})

function overview(
  { keys, unreadable }: KeyInventory,
  uses: ReadonlyMap<string, number>,
  label: string,
  now: number,
): string {
  const rows = keys.map((record) => {
    const { id, name, grant, expiresAt } = record
    const used = uses.get(id)
    return [
      id,
      name,
      stateOf(record, now),
      grant.models.join(', '),
      limitsText(grant),
      expiresAt === undefined ? 'never' : timeText(expiresAt),
      used === undefined ? '' : timeText(Math.floor(used / 1000)),
    ]
  })
  const list =
    keys.length === 0
      ? `There are no keys in ${label}. Create one: npx verge keys create NAME --models digits`
      : table([['id', 'name', 'state', 'models', 'limits', 'expires', 'last used'], ...rows])
  return [list, ...[...unreadable.values()].map((why) => `not listed: ${printable(why)}`)].join('\n')
}
