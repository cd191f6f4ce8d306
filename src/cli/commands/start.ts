import { resolve } from 'node:path'
import { defineCommand } from '../command.ts'
import { modelFolders, ORIGIN_COMMAND, STATE } from '../files/project.ts'
import { localEnvironment } from '../local/local-environment.ts'
import { serve, untilAsked } from '../local/serve.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { parsePort } from '../terminal/port.ts'

const OPTIONS = {
  port: { type: 'string', value: 'N', help: 'port to listen on (default: PORT, or 8787)' },
  models: {
    type: 'string',
    value: 'DIR',
    help: 'folder of model folders, each with a verge.json (default: models)',
  },
  'persist-to': { type: 'string', value: 'DIR', help: 'local storage (default: .wrangler/state)' },
  origin: {
    type: 'string',
    value: 'URL',
    help: [
      `origin for models that prefer one; "${ORIGIN_COMMAND}" starts it`,
      '(default: http://127.0.0.1:8788; none: nowhere)',
    ],
  },
  traces: {
    type: 'string',
    value: 'URL',
    help: [
      'collector for traces of all requests; "npx verge traces" is one, at',
      'http://127.0.0.1:4318 (default: none)',
    ],
  },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Starts Verge on this machine: packs the models in models/, writes them into local R2 and KV, runs the Worker in
workerd, and sends each model a test request. Press Ctrl-C to stop.

Usage: npm start -- [options]

${helpOf(OPTIONS)}`

export const startCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const signal = untilAsked()
    const port = parsePort(values.port)
    const folders = await modelFolders(values.models)
    const persistTo = values['persist-to'] === undefined ? STATE : resolve(values['persist-to'])
    const envFiles = await localEnvironment(port, values)
    await serve({ port, persistTo, folders, envFiles, signal })
    return undefined
  },
})
