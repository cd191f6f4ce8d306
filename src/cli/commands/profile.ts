import { buildContext } from '../build/context.ts'
import { loadModel } from '../build/load.ts'
import { SOURCE_OPTIONS } from '../build/model-settings.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { byOperator, type ProfiledStep, profileArtifact } from '../measure/profile.ts'
import { sizedInputs } from '../measure/sizes.ts'
import { compileForEdge } from '../pack/pages/compile-for-edge.ts'
import { pagePlanner } from '../pack/pages/page-plan.ts'
import { UsageError } from '../terminal/command-line.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  ...SOURCE_OPTIONS,
  runs: { type: 'string', value: 'N', help: 'runs of each size; the shortest time of a step counts (10)' },
  json: { type: 'boolean', help: 'for programs' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows how long each operator of a model takes on Verge's own engine, and the slowest steps with the ONNX nodes that they
came from. Compiles the model as packing does and runs it in this process, on made-up inputs of several sizes.

Usage: npx verge profile MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision]. Weights keep the precision of the file.
Times are of this machine. Node guards memory by page tables, where workerd checks each access: a Worker takes longer.

${helpOf(OPTIONS)}

Examples:
  npx verge profile model.q8.onnx
  npx verge profile hf:sentence-transformers/all-MiniLM-L6-v2 --runs 30`

const MOST_RUNS = 1_000
/** Slowest steps that are listed. */
const LISTED = 8

interface Profile {
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly steps: readonly ProfiledStep[]
}

export const profileCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'a model: npx verge profile model.onnx')
    const runs = Number(values.runs ?? 10)
    if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS) {
      throw new UsageError(`--runs takes a whole number from 1 to ${MOST_RUNS}, not "${values.runs}".`)
    }
    const { progress, signal } = buildContext(untilInterrupted(), values.json === true)
    try {
      const { onnx } = await loadModel(spec, {
        file: values.file,
        insecure: values.insecure === true,
        progress,
        signal,
      })
      const compiled = await compileForEdge(onnx, {}, pagePlanner({}))
      if (!compiled.ok) throw new UsageError(`Verge's own engine does not run this model: it ${compiled.note}.`)
      const profiles: Profile[] = []
      for (const { inputs } of await sizedInputs(onnx, [], signal)) {
        const steps = await profileArtifact(compiled.model, {
          inputs,
          runs,
          signal,
          now: () => performance.now(),
        })
        profiles.push({ shapes: Object.fromEntries([...inputs].map(([name, { shape }]) => [name, shape])), steps })
      }
      if (profiles.length === 0) throw new UsageError('No inputs could be made up that the model runs on.')
      return values.json ? JSON.stringify(profiles, null, 2) : profiles.map(described).join('\n\n')
    } finally {
      progress.close()
    }
  },
})

function described({ shapes, steps }: Profile): string {
  const total = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const share = (milliseconds: number) => `${((100 * milliseconds) / Math.max(total, 1e-9)).toFixed(1)} %`.padStart(7)
  const line = (name: string, count: string, milliseconds: number) =>
    `  ${name.padEnd(18)} ${count.padStart(5)} ${milliseconds.toFixed(3).padStart(9)} ${share(milliseconds)}`
  const inputs = Object.entries(shapes).map(([name, shape]) => `${name} [${shape.join(', ')}]`)
  const slowest = [...steps].sort((left, right) => right.milliseconds - left.milliseconds).slice(0, LISTED)
  return [
    `${inputs.join(', ')}: ${total.toFixed(2)} ms in ${steps.length} steps`,
    `  ${'operator'.padEnd(18)} ${'steps'.padStart(5)} ${'ms'.padStart(9)} ${'share'.padStart(7)}`,
    ...byOperator(steps).map((item) => line(item.op, String(item.steps), item.milliseconds)),
    '  slowest steps',
    ...slowest.map((step) => `${line(step.op, '', step.milliseconds)}  ${step.node}`),
  ].join('\n')
}
