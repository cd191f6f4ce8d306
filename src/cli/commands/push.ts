import { join, relative, resolve } from 'node:path'
import type { Visibility } from '../../catalog/alias.ts'
import { BUILD_HELP, BUILD_OPTIONS, buildSettings } from '../build/arguments.ts'
import { type BuildSettings, type Built, buildModel } from '../build/build.ts'
import { BUILD_COLUMN } from '../build/options.ts'
import { isElsewhere, isReady, packReady, readyModel } from '../build/ready.ts'
import { refuseUnproven } from '../build/unproven.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { Visitor } from '../doctor/visitor.ts'
import { readDescription } from '../pack/description.ts'
import { existingOf } from '../push/existing.ts'
import { readModel } from '../push/inventory.ts'
import { keepAll, leaveNewest } from '../push/leave-newest.ts'
import { askLive, type LiveAnswer, type NoAnswer } from '../push/live.ts'
import { assertPushable, assertReachable } from '../push/preflight.ts'
import { describeLive, type PushResult, pushModel } from '../push/push.ts'
import { countToKeep } from '../push/remove-versions.ts'
import { renderJson } from '../report/report.ts'
import { renderText } from '../report/text.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS, type TargetArguments } from '../target/arguments.ts'
import { OPERATOR_OPTION } from '../target/operator.ts'
import { withTarget } from '../target/session.ts'
import type { Target } from '../target/target.ts'
import { localWorker } from '../target/worker-address.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable, shellWord } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const WHERE_OPTIONS = {
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  ...SIGNING_OPTIONS,
  live: {
    type: 'boolean',
    shown: '--no-live',
    help: 'store a version without making it live; "verge release" does that later',
  },
  keep: {
    type: 'string',
    value: 'N',
    help: 'afterwards remove old versions, except live ones, the canary, where a rollback goes, and the N newest others',
  },
  url: {
    type: 'string',
    value: 'URL',
    help: 'Worker to send a test request to (default for local storage: the one that "npm start" runs)',
  },
  'page-copies': {
    type: 'boolean',
    shown: '--no-page-copies',
    help: 'do not copy the pages of embedding tables to KV (a write for each); R2 serves them',
  },
  'dry-run': { type: 'boolean', help: 'build the model and show what would be stored; store nothing' },
} as const satisfies Options

const OUTPUT_OPTIONS = {
  json: { type: 'boolean', help: 'print the report and the changes as JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const OPTIONS = {
  ...WHERE_OPTIONS,
  ...BUILD_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Options

const HELP = `From a model to a live endpoint: quantizes the model, verifies in workerd that its outputs still agree, writes a report,
stores a version and makes it live in one write. Sends only what is missing; run it again after an interruption.

Usage: npx verge push MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]; a folder with a complete verge.json is
pushed unchanged. See docs/sources.md and docs/quantize.md.

Where:
${helpOf(WHERE_OPTIONS, BUILD_COLUMN)}

${BUILD_HELP}

${helpOf(OUTPUT_OPTIONS, BUILD_COLUMN)}

Examples:
  npx verge push model.onnx --name mine
  npx verge push hf:org/name --samples reviews.jsonl --max-drop 0.5
  npx verge push model.onnx --name mine --dtype q4 --env production --public

${TARGET_ENVIRONMENT}`

export const pushCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'a model: npx verge push model.onnx --name mine')
    const dryRun = values['dry-run'] === true
    const keep = countToKeep(values.keep)
    if (keep !== undefined && values.live === false)
      throw new UsageError('--keep removes old versions when the new one is live: leave out --no-live.')
    const pageCopies = { pageCopies: values['page-copies'] !== false }
    // Checks the address first, so that a typo does not fail the command after the build.
    const url = values.url ?? (values.env === undefined ? await localWorker(values['persist-to']) : undefined)
    const key = process.env.VERGE_API_KEY || undefined
    if (url !== undefined) new Visitor(url, key)
    const asked = buildSettings(values)
    return withTarget(values, async ({ target, signal, progress }) => {
      const bench = { progress, signal }
      await assertReachable(target, signal)
      const ready = await isReady(spec, asked)
      const live = values.live !== false
      // Local storage is not reachable from outside. Elsewhere a model is private unless an option or its verge.json
      // makes it public.
      const local = target.kind === 'local'
      const stated = asked.model.visibility ?? (ready ? await statedVisibility(spec) : undefined)
      const visibilityOf = (known: unknown) =>
        asked.model.visibility ?? (known ? undefined : (stated ?? (local ? 'public' : undefined)))
      const settings: BuildSettings = {
        ...asked,
        existing: (model) => existingOf(target.truth, model, signal),
        async beforeProof(packed, same) {
          // a stored version with the same contents is reused
          if (same !== undefined) return
          const known = await assertPushable(target.truth, packed, { live, final: ready }, signal)
          const becomes = visibilityOf(known) ?? known?.visibility ?? packed.visibility
          if (!local && becomes === 'public') requireLicence({ packed })
        },
      }
      if (ready && (await isElsewhere(spec))) {
        // Nothing to build, to prove or to ask: the weights are with a server of the operator's.
        const packed = await packReady(resolve(spec), settings.model)
        const known = await readModel(target.truth, packed.manifest.model, signal)
        const visibility = visibilityOf(known)
        const becomes = visibility ?? known?.alias.visibility ?? packed.visibility
        if (!local && becomes === 'public') requireLicence({ packed })
        const result = await pushModel(target, packed, {
          live,
          progress,
          signal,
          dryRun,
          ...pageCopies,
          ...(visibility && { visibility }),
        })
        const old = await leaveNewest(target, result, known?.alias, keep, bench)
        if (values.json) return JSON.stringify({ report: null, push: result, live: null, ...old.json }, null, 2)
        const { model, version } = result
        const where = whereNext(target, values['persist-to'])
        const steps = [...result.steps, ...old.steps, '']
        if (dryRun) return [...steps, 'Nothing was stored (--dry-run).'].join('\n')
        return [...steps, `${model} ${version} is stored. ${where}`, ...release(result, values)].join('\n')
      }
      const built = await (ready ? readyModel : buildModel)(spec, settings, bench)
      if (!values.json) console.log(renderText(built.report))
      refuseUnproven(built, 'pushed')
      const { model } = built.packed.manifest
      const known = await readModel(target.truth, model, signal)
      const visibility = visibilityOf(known)
      const becomes = visibility ?? known?.alias.visibility ?? built.packed.visibility
      if (!local && becomes === 'public') requireLicence(built)
      const result = await pushModel(target, built.packed, {
        live,
        progress,
        signal,
        dryRun,
        ...pageCopies,
        ...(visibility !== undefined && { visibility }),
      })
      const asking = { visibility: result.visibility, live: result.live, key, signal, progress }
      const answer = dryRun || url === undefined ? undefined : await askLive(url, built, asking)
      // With --url the person expects a test request.
      const unanswered = values.url !== undefined && answer && 'reason' in answer
      if (unanswered) process.exitCode = 1
      // A version that does not answer may have to be taken back to any of them.
      const old = unanswered ? keepAll(keep) : await leaveNewest(target, result, known?.alias, keep, bench)
      if (values.json) {
        const report: unknown = JSON.parse(renderJson(built.report))
        return JSON.stringify({ report, push: result, live: answer ?? null, ...old.json }, null, 2)
      }
      return [
        ...result.steps,
        ...old.steps,
        '',
        ...(dryRun
          ? ['Nothing was stored (--dry-run).']
          : next(built, result, answer, whereNext(target, values['persist-to']), release(result, values))),
      ].join('\n')
    })
  },
})

/** The visibility in a folder's verge.json; undefined if it is not set. */
async function statedVisibility(folder: string): Promise<Visibility | undefined> {
  return (await readDescription(resolve(folder))).visibility
}

/** @throws UsageError if a public model has no known licence */
function requireLicence({ packed }: Pick<Built, 'packed'>): void {
  const { licence } = packed.manifest
  if (licence !== undefined && licence !== 'unknown') return
  throw new UsageError('A public model needs a licence. Give it, for example --licence MIT, or push with --private.')
}

/** How the model is reached from here on. */
function whereNext({ kind }: Target, persistTo: string | undefined): string {
  if (kind === 'remote') return 'Workers serve it within a minute.'
  const option = persistTo === undefined ? '' : ` -- --persist-to ${printable(persistTo)}`
  return `To serve it: npm start${option}`
}

/** How to make a version live that is not; nothing where it is. */
function release({ model, version, live }: PushResult, { env, config, ...values }: TargetArguments): string[] {
  if (live.some((each) => each.version === version)) return []
  const place = Object.entries({ env, config, 'persist-to': values['persist-to'] })
  const options = place.flatMap(([name, value]) => (value === undefined ? [] : ` --${name} ${shellWord(value)}`))
  const command = (share: string) => `  npx verge release ${model} ${version}${share}${printable(options.join(''))}`
  // A canary is compared with a live version.
  const canary = live.length === 0 ? [] : ['', 'Or as a canary, for 5 % of the callers:', '', command('=5')]
  return [`It is not live. Live: ${describeLive(live)}. To make it live:`, '', command(''), ...canary, '']
}

function next(
  built: Built,
  result: PushResult,
  answer: LiveAnswer | NoAnswer | undefined,
  how: string,
  released: readonly string[],
): string[] {
  const { model, version } = result
  const lines: string[] = []
  if (answer && 'url' in answer) {
    lines.push(
      `${model} ${version} answers at ${answer.url}:`,
      '',
      `  ${printable(answer.curl)}`,
      `  # ${answer.answer}`,
      '',
    )
  } else {
    const unasked = answer === undefined ? '' : ` No test request was sent: ${answer.reason}.`
    lines.push(`${model} ${version} is stored.${unasked} ${how}`)
    if (answer !== undefined) lines.push('To call it:', '', `  ${printable(answer.curl)}`, '')
  }
  lines.push(...released)
  lines.push(`Report: ${shown(join(built.reports, 'report.html'))}`)
  return lines
}

function shown(path: string): string {
  return relative(process.cwd(), path) || '.'
}
