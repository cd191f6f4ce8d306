import { dayOf, monthOf } from '../../metering/usage/usage-by-day.ts'
import { defineCommand } from '../command.ts'
import { findKey, referenceTo } from '../keys/find.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../target/arguments.ts'
import { withTarget } from '../target/session.ts'
import type { Target } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { namesOf } from '../usage/names.ts'
import { GROUPS, type Group, readUsage } from '../usage/read.ts'
import { ageOf, usageJson, usageTable } from '../usage/table.ts'

const OPTIONS = {
  key: { type: 'string', value: 'ID', help: 'of one key: its id, its name, or the whole key' },
  principal: {
    type: 'string',
    value: 'NAME',
    help: 'of one caller: operator, anonymous, key:ID, user:..., service:NAME',
  },
  month: { type: 'string', value: 'YYYY-MM', help: 'default: this month, in UTC' },
  group: {
    type: 'string',
    value: 'GROUP',
    choices: GROUPS,
    help: 'key, day or model (default: key; model with --key)',
  },
  ...TARGET_OPTIONS,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows what callers have used in a month: requests, tokens, cost units, estimated CPU time and dollars.

Usage: npx verge usage [options]

${helpOf(OPTIONS)}

Examples:
  npx verge usage
  npx verge usage --key shop --group day
  npx verge usage --month 2026-11 --group model --env production --json

${TARGET_ENVIRONMENT}`

const MONTH = /^\d{4}-(?:0[1-9]|1[0-2])$/
const PRINCIPAL = /^[\x21-\x7e]{1,256}$/

export const usageCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const principalIn = principalOf(values)
    const month = monthFrom(values.month)
    const group =
      groupFrom(values.group) ?? (values.key === undefined && values.principal === undefined ? 'key' : 'model')
    return withTarget(values, async ({ target, signal }) => {
      const usage = await readUsage(
        target.truth,
        { month, group, principal: await principalIn(target, signal) },
        signal,
      )
      const names = group === 'key' ? await namesOf(target.truth, [...usage.groups.keys()], signal) : new Map()
      if (usage.faults.length > 0) process.exitCode = 1
      if (values.json) return JSON.stringify(usageJson(usage, { month, group, names }), null, 2)
      const faults = usage.faults.map((fault) => `not counted: ${printable(fault)}`)
      if (usage.written === undefined) return [`No usage of ${month} is in ${target.label}.`, ...faults].join('\n')
      return [usageTable(usage, { group, names }), '', ageOf(usage, Date.now()), ...faults].join('\n')
    })
  },
})

type PrincipalIn = (target: Target, signal: AbortSignal) => Promise<string | undefined>

/** Finds the caller in a bucket: a key by its id, its name or its text. @throws UsageError */
function principalOf({ key, principal }: { readonly key?: string; readonly principal?: string }): PrincipalIn {
  if (key !== undefined && principal !== undefined) throw new UsageError('Use either --key or --principal.')
  if (key !== undefined) {
    const reference = referenceTo(key.replace(/^key:/, ''))
    return async ({ truth }, signal) =>
      `key:${'id' in reference ? reference.id : await findKey(truth, reference, signal)}`
  }
  if (principal !== undefined && !PRINCIPAL.test(principal)) {
    throw new UsageError(`"${printable(principal)}" is not the name of a caller. "npx verge usage" lists the callers.`)
  }
  return async () => principal
}

/** @throws UsageError */
function monthFrom(value: string | undefined): string {
  const month = value ?? monthOf(dayOf(Date.now()))
  if (MONTH.test(month)) return month
  throw new UsageError(`"${month}" is not a month. Write it as 2026-11.`)
}

/** @throws UsageError */
function groupFrom(value: string | undefined): Group | undefined {
  const group = GROUPS.find((each) => each === value)
  if (group === undefined && value !== undefined) throw new UsageError(`--group must be one of ${GROUPS.join(', ')}.`)
  return group
}
