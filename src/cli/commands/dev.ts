import { resolve } from 'node:path'
import { BUILD_HELP, BUILD_OPTIONS, buildSettings } from '../build/arguments.ts'
import { buildModel } from '../build/build.ts'
import { buildContext } from '../build/context.ts'
import { BUILD_COLUMN } from '../build/options.ts'
import { PAGE_OPTIONS } from '../build/page-settings.ts'
import { isReady } from '../build/ready.ts'
import { refuseUnproven } from '../build/unproven.ts'
import { defineCommand, onlyArgument } from '../command.ts'
import { STATE } from '../files/project.ts'
import { serve } from '../local/serve.ts'
import { existingOf } from '../push/existing.ts'
import { renderText } from '../report/text.ts'
import { openTarget } from '../target/open.ts'
import { UsageError } from '../terminal/command-line.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { isFree, parsePort } from '../terminal/port.ts'

const SERVE_OPTIONS = {
  port: { type: 'string', value: 'N', help: 'port to listen on (default: PORT, or 8787)' },
  'persist-to': { type: 'string', value: 'DIR', help: 'local storage (default: .wrangler/state)' },
} as const satisfies Options

const OPTIONS = {
  ...SERVE_OPTIONS,
  ...BUILD_OPTIONS,
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Serves a model on this machine in one step: quantizes it, verifies it, and runs a Worker that serves it.
Press Ctrl-C to stop.

Usage: npx verge dev MODEL [options]

MODEL is an .onnx file, a folder, an https:// address, or hf:org/name[@revision].

${helpOf(SERVE_OPTIONS, BUILD_COLUMN)}

${BUILD_HELP}

${helpOf(HELP_OPTION, BUILD_COLUMN)}

Examples:
  npx verge dev model.onnx
  npx verge dev hf:org/name --dtype q4 --port 9000`

export const devCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const spec = onlyArgument(positionals, 'a model: npx verge dev model.onnx')
    const port = parsePort(values.port)
    const persistTo = values['persist-to'] === undefined ? STATE : resolve(values['persist-to'])
    // Only this machine can call, so models need not be private.
    const settings = buildSettings(
      { ...values, ...(values.public === undefined && values.private === undefined && { public: true }) },
      { existing: (model) => versionsIn(persistTo, model) },
    )
    if (!(await isFree(port))) throw new UsageError(`Port ${port} is in use. Choose another port: --port ${port + 1}`)
    const signal = untilInterrupted()
    const context = buildContext(signal, false)
    let folder = spec
    try {
      if (await isReady(spec, settings)) {
        const said = [
          'name',
          'model-version',
          'licence',
          'loop-steps',
          'engines',
          'same-bits',
          ...Object.keys(PAGE_OPTIONS),
          'public',
          'private',
          'downloadable',
        ].find((name) => values[name as 'name'])
        if (said !== undefined) {
          throw new UsageError(
            `--${said} conflicts with the verge.json in ${spec}. Change verge.json, or remove --${said}.`,
          )
        }
        folder = resolve(spec)
      } else {
        const built = await buildModel(spec, settings, context)
        console.log(renderText(built.report))
        refuseUnproven(built, 'served')
        folder = built.folder
      }
    } finally {
      context.progress.close()
    }
    await serve({ port, persistTo, folders: [folder], release: true, signal })
    return undefined
  },
})

async function versionsIn(persistTo: string, model: string) {
  const target = await openTarget({ local: persistTo })
  try {
    return await existingOf(target.truth, model)
  } finally {
    await target.dispose()
  }
}
