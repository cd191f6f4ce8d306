import { join, resolve } from 'node:path'
import { readAccount } from '../../cloudflare/account.ts'
import { HttpClient } from '../../cloudflare/http.ts'
import { readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { CARRIED_KEY, LEAST_KEY } from '../../config/values.ts'
import { defineCommand } from '../command.ts'
import { modelFolders, ROOT } from '../files/project.ts'
import { type PackedModel, packFolder } from '../pack/packer.ts'
import { API_KEY, planSetup, type SetupStep } from '../push/setup.ts'
import { SIGNING_OPTIONS } from '../signing/options.ts'
import { signingFor } from '../signing/signing.ts'
import { OPERATOR_OPTION, operatorName } from '../target/operator.ts'
import { UsageError } from '../terminal/command-line.ts'
import { agreed } from '../terminal/confirm.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const LOCATIONS = ['wnam', 'enam', 'weur', 'eeur', 'apac', 'oc']

const OPTIONS = {
  env: { type: 'string', value: 'NAME', help: 'environment: staging, production' },
  'dry-run': { type: 'boolean', help: 'show what would be done; change nothing' },
  yes: { type: 'boolean', help: 'do not ask for confirmation' },
  'take-over': {
    type: 'boolean',
    help: 'with --yes: also take over a Worker or KV namespace of the same name that Verge did not create',
  },
  models: { type: 'string', value: 'DIR', help: 'folder of model folders (default: models)' },
  'no-models': { type: 'boolean', help: 'do not push models' },
  location: {
    type: 'string',
    value: 'HINT',
    choices: LOCATIONS,
    help: `location of a new bucket: ${LOCATIONS.join(', ')} (default: near you)`,
  },
  config: { type: 'string', value: 'FILE', help: 'default: wrangler.toml' },
  ...OPERATOR_OPTION,
  ...SIGNING_OPTIONS,
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Creates the resources of a wrangler.toml environment in your Cloudflare account: the R2 bucket, the KV namespace (and
writes its id into wrangler.toml), the operator's key and the models. Shows what it would do and asks for confirmation.
Existing resources are kept, so you can run it again at any time.

Usage: npx verge setup --env NAME [options]

${helpOf(OPTIONS)}

Environment: CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID; ${API_KEY} to set the operator's key.
docs/deploy.md explains how to get them.`

export const setupCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const { env, location } = values
    if (env === undefined) throw new UsageError('Specify an environment: --env staging or --env production.')
    if (location !== undefined && !LOCATIONS.includes(location)) {
      throw new UsageError(`"${location}" is not an R2 location. Use one of ${LOCATIONS.join(', ')}.`)
    }
    const configPath = values.config === undefined ? join(ROOT, 'wrangler.toml') : resolve(values.config)
    const environment = { ...(await readEnvironment(configPath, env)), env }
    const account = readAccount(process.env)
    const models: PackedModel[] = []
    if (!values['no-models']) {
      for (const folder of await modelFolders(values.models)) models.push(await packFolder(folder))
    }
    const http = new HttpClient()
    const apiKey = operatorKey(process.env)
    const by = operatorName(values.by, process.env)
    const signing = () => signingFor({ env, remote: true, configPath }, values, process.env)
    const context = { http, account, configPath, environment, models, apiKey, location, by, signing }
    const steps = await planSetup(context)
    console.log(`${environment.worker}, in account ${account.id}:\n\n${steps.map(describe).join('\n')}\n`)
    const open = steps.filter((step) => step.apply !== undefined)
    if (values['dry-run']) return 'Nothing was changed (--dry-run).'
    if (open.length === 0) return next(env)
    const taken = open.flatMap(({ takesOver }) => takesOver ?? [])
    if (values.yes && taken.length > 0 && !values['take-over']) {
      throw new UsageError(
        `Nothing was changed, because it would take over ${taken.join('; and ')}. Choose another name in wrangler.toml, ` +
          'or add --take-over.',
      )
    }
    if (!values.yes && !(await agreed('Make the changes marked with +?', untilInterrupted())))
      return 'Nothing was changed.'
    for (const step of open) console.log(`${step.what}: ${await step.apply?.()}`)
    return next(env)
  },
})

function describe({ what, done, plan, takesOver }: SetupStep): string {
  if (done !== undefined) return `    ${what}: ${done}`
  return `  + ${what}: ${plan}${takesOver === undefined ? '' : `\n    ! It takes over ${takesOver}.`}`
}

function operatorKey(environment: NodeJS.ProcessEnv): string | undefined {
  const key = environment[API_KEY]
  if (key === undefined || key === '') return undefined
  // the same check as in the Worker, which would refuse an invalid key
  if (key.length >= LEAST_KEY && CARRIED_KEY.test(key)) return key
  throw new UsageError(
    `${API_KEY} cannot be used: it needs at least ${LEAST_KEY} characters, letters, digits and ._~+/- only. Create one: ` +
      'openssl rand -base64 33',
  )
}

function next(env: string): string {
  return [
    '',
    'Setup is complete. Next:',
    '',
    `  npx wrangler deploy --env ${env}`,
    `  npx verge doctor --env ${env} --url https://<address that wrangler prints>`,
  ].join('\n')
}
