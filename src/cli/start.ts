import { parseArgs } from 'node:util'
import { modelFolders, STATE } from './files/project.ts'
import { originEnvironment } from './local/origin-environment.ts'
import { serve, untilAsked } from './local/serve.ts'
import { runScript } from './terminal/command-line.ts'
import { parsePort } from './terminal/port.ts'

const HELP = `Starts Verge on this machine: packs the models in models/, writes them into local R2 and KV, runs the Worker
in workerd, and waits until each model has answered. Ctrl-C ends everything.

Usage: npm start -- [options]

  --port N           port to listen on (default: PORT, or 8787)
  --models DIR       folder of model folders, each with a verge.json (default: models)
  --persist-to DIR   local storage (default: .wrangler/state)
  --origin URL       where models go that prefer a larger machine: npm run origin starts one
                     (default: http://127.0.0.1:8788; none: nowhere)
  --help             this text`

await runScript(HELP, async () => {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      models: { type: 'string' },
      'persist-to': { type: 'string' },
      origin: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return HELP
  const signal = untilAsked()
  const port = parsePort(values.port)
  const folders = await modelFolders(values.models)
  const envFiles = await originEnvironment(port, values.origin)
  await serve({ port, persistTo: values['persist-to'] ?? STATE, folders, envFiles, signal })
  return undefined
})
