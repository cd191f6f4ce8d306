import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fetchKeySet } from '../../access/sign-in/fetch-keys.ts'
import { HttpClient } from '../../cloudflare/http.ts'
import { type Environment, readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { type Config, parseConfig } from '../../config/config.ts'
import { CARRIED_KEY } from '../../config/values.ts'
import { LIMITS } from '../../core/limits.ts'
import { systemClock } from '../../core/runtime.ts'
import { defineCommand } from '../command.ts'
import { checkAdministration } from '../doctor/administration.ts'
import { type Check, describeChecks, fail, hasFailed } from '../doctor/check.ts'
import { checkAccount, checkConfiguration } from '../doctor/configuration.ts'
import { checkOutside } from '../doctor/outside.ts'
import { checkReleases } from '../doctor/releases.ts'
import { checkSignIn } from '../doctor/sign-in.ts'
import { Visitor } from '../doctor/visitor.ts'
import { ROOT, STATE } from '../files/project.ts'
import { localValues } from '../local/configuration.ts'
import { API_KEY } from '../push/setup.ts'
import { openTarget } from '../target/open.ts'
import { UsageError } from '../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const DEFAULT_REQUESTS = 20
const MOST_REQUESTS = 1000

const OPTIONS = {
  url: {
    type: 'string',
    value: 'URL',
    help: 'URL of a running Worker: https://verge-production.example.workers.dev, or http://127.0.0.1:8787',
  },
  env: {
    type: 'string',
    value: 'NAME',
    help: 'environment of wrangler.toml to check (default: the top level, for this machine)',
  },
  origin: {
    type: 'string',
    value: 'URL',
    help: 'page origin that must be able to call (default: the first in CORS_ALLOW)',
  },
  requests: {
    type: 'string',
    value: 'N',
    help: `warm requests to each model (default: ${DEFAULT_REQUESTS}, at most ${MOST_REQUESTS})`,
  },
  json: { type: 'boolean', help: 'print the checks as JSON' },
  config: { type: 'string', value: 'FILE', help: 'default: wrangler.toml' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Checks the configuration in wrangler.toml, the key sets of sign-ins, keys and audit log in the storage, the account (with
credentials) and, with --url, a running Worker from outside: health, canaries, models and their answers, latency, origins,
error formats, limits, CORS, headers, privacy. Reports each problem with a fix. Changes nothing. Exits with 0 if it finds no problem, else with 1.

Usage: npx verge doctor [options]

${helpOf(OPTIONS)}

Examples:
  npx verge doctor
  npx verge doctor --url http://127.0.0.1:8787
  npx verge doctor --env production --url https://verge.example.com

Environment: ${API_KEY} to check private models and canaries too; CLOUDFLARE_API_TOKEN and
CLOUDFLARE_ACCOUNT_ID to check the account.`

export const doctorCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const requests = Number(values.requests ?? DEFAULT_REQUESTS)
    if (!Number.isInteger(requests) || requests < 1 || requests > MOST_REQUESTS) {
      throw new UsageError(`--requests must be a whole number from 1 to ${MOST_REQUESTS}.`)
    }
    const key = process.env[API_KEY] || undefined
    const usable = key !== undefined && CARRIED_KEY.test(key)
    const visitor = values.url === undefined ? undefined : new Visitor(values.url, usable ? key : undefined)
    const configPath = values.config === undefined ? join(ROOT, 'wrangler.toml') : resolve(values.config)

    const checks: Check[] = []
    if (key !== undefined && !usable) {
      const fix = `Create a new key (openssl rand -base64 33), and set it in the Worker: npx wrangler secret put ${API_KEY}`
      checks.push(fail('key', `${API_KEY} contains a character that is not allowed in a header`, fix))
    }
    const environment = await readChecked(configPath, values.env, checks)
    if (environment !== undefined) {
      const vars = values.env === undefined ? await localValues(configPath) : environment.vars
      checks.push(...(await checkConfiguration({ ...environment, vars }, Date.now(), environment.vars)))
      checks.push(...(await checkIssuers(vars)))
      checks.push(...(await checkAccount(environment, new HttpClient(), process.env)))
      if (values.env === undefined && values.config === undefined) checks.push(...(await checkLocalStorage(vars)))
    }
    if (visitor !== undefined) {
      const corsOrigin = values.origin ?? configuredOrigin(environment)
      const pinned = listOf(environment?.vars.PINNED_MODELS)
      const modelsFolder = join(ROOT, 'models')
      checks.push(...(await checkOutside(visitor, { requests, corsOrigin, pinned, modelsFolder, now: Date.now() })))
    }
    if (hasFailed(checks)) process.exitCode = 1
    return values.json ? JSON.stringify({ ok: !hasFailed(checks), checks }, null, 2) : describeChecks(checks)
  },
})

/** Key sets of those who sign in callers. Faults of the variables are reported with them. */
async function checkIssuers(vars: Readonly<Record<string, unknown>>): Promise<Check[]> {
  const { signIn = [] } = await parseConfig(vars).catch((): Partial<Config> => ({}))
  const options = { fetch: (request: Request) => fetch(request), clock: systemClock, limits: LIMITS }
  return checkSignIn(signIn, (url) => fetchKeySet(url, options))
}

/** Keys and audit log of the storage that "npm start" reads, if there is any. */
async function checkLocalStorage(vars: Readonly<Record<string, unknown>>): Promise<Check[]> {
  if (!existsSync(join(STATE, 'v3', 'r2'))) return []
  // faults of the variables are reported with them
  const config = await parseConfig(vars).catch(() => undefined)
  const plans = config && new Set(config.plans.keys())
  const releaseKeys = config?.releaseKeys ?? []
  const target = await openTarget({ local: STATE })
  try {
    return [
      ...(await checkAdministration(target.truth, target.copies[0], { env: undefined, plans, now: Date.now() })),
      ...(releaseKeys.length > 0 ? await checkReleases(target.truth, releaseKeys, Date.now()) : []),
    ]
  } finally {
    await target.dispose()
  }
}

/** A file that cannot be read is a finding, and a Worker that runs can be checked all the same. */
async function readChecked(
  configPath: string,
  env: string | undefined,
  checks: Check[],
): Promise<Environment | undefined> {
  try {
    return await readEnvironment(configPath, env)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    checks.push(fail('configuration', error.message, 'docs/deploy.md, "Environments".'))
    return undefined
  }
}

/** The first page that the configuration lets in; any where it lets all in; null where it lets in none. */
function configuredOrigin(environment: Environment | undefined): string | null {
  const origins = listOf(environment?.vars.CORS_ALLOW)
  if (environment === undefined || origins.includes('*')) return 'https://example.com'
  return origins[0] ?? null
}

/** A variable that is a list, as far as it can be read. */
function listOf(value: unknown): string[] {
  return String(value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
