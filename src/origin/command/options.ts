import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { LEAST_SECRET } from '../../access/signature.ts'
import { MODEL_NAME } from '../../catalog/manifest.ts'
import { PublicKeyFault, parsePublicKeys, type ReleaseKey, releaseKey } from '../../catalog/signing/public-keys.ts'
import { ROOT } from '../../cli/files/project.ts'
import { UsageError } from '../../cli/terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Option } from '../../cli/terminal/options.ts'
import { PROVIDERS, type Provider } from '../../engine/native/support.ts'
import { parseHeaders, tracesUrl } from '../../telemetry/traces/settings.ts'
import { ORIGIN_LIMITS } from '../limits.ts'
import { LOG_LEVELS } from '../logger.ts'
import type { OriginSettings } from '../settings.ts'
import { localOriginKey } from './key.ts'

interface OriginOption extends Option {
  /** Where neither the option nor its variable is given; empty if it is worked out, or if nothing is meant. */
  readonly fallback: string
}

type OriginOptionTable = Readonly<Record<string, OriginOption>>

const CATALOGUE_OPTIONS = {
  from: {
    type: 'string',
    value: 'WHERE',
    fallback: 'http://127.0.0.1:8787',
    help: [
      'catalogue and weights (default: http://127.0.0.1:8787):',
      '  https://worker   a Worker whose ORIGINS names this origin',
      '  s3://bucket      R2, by its S3 API: R2_ENDPOINT or CLOUDFLARE_ACCOUNT_ID, R2_ACCESS_KEY_ID',
      '                   and R2_SECRET_ACCESS_KEY in the environment',
      '  DIR              a folder of model folders, each with a verge.json',
    ],
  },
  models: {
    type: 'string',
    value: 'a,b',
    fallback: '',
    help: 'serve only these models (default: all of the catalogue)',
  },
  preload: {
    type: 'string',
    value: 'a,b',
    fallback: '',
    help: 'load these models before reporting ready',
  },
} as const satisfies OriginOptionTable

const NETWORK_OPTIONS = {
  port: { type: 'string', value: 'N', fallback: '8788', help: 'for Workers (default: 8788)' },
  host: {
    type: 'string',
    value: 'ADDRESS',
    fallback: '127.0.0.1',
    help: '(default: 127.0.0.1; 0.0.0.0 for all addresses)',
  },
  'admin-port': {
    type: 'string',
    value: 'N',
    fallback: '8789',
    help: '/livez, /readyz and /metrics, without a key (default: 8789)',
  },
  'admin-host': { type: 'string', value: 'ADDRESS', fallback: '127.0.0.1', help: '(default: 127.0.0.1)' },
  'key-file': {
    type: 'string',
    value: 'FILE',
    fallback: '',
    help: [
      'file of accepted signing keys, one per line (default: VERGE_ORIGIN_KEY, separated by commas;',
      'else .verge/origin.key, which npm start shares)',
    ],
  },
} as const satisfies OriginOptionTable

const RUN_OPTIONS = {
  providers: {
    type: 'string',
    value: 'a,b',
    fallback: 'cuda,webgpu,cpu',
    help: 'execution providers: cuda, webgpu, cpu; uses the first that works (default: cuda,webgpu,cpu)',
  },
  threads: { type: 'string', value: 'N', fallback: '', help: 'threads per operator (default: all cores)' },
  'memory-gb': {
    type: 'string',
    value: 'N',
    fallback: '',
    help: "memory for loaded models; evicts the least recently used (default: 60 % of the machine's memory)",
  },
  'max-batch': {
    type: 'string',
    value: 'N',
    fallback: '32',
    help: 'maximum rows per batch; 1 disables batching (default: 32)',
  },
  'max-wait-ms': {
    type: 'string',
    value: 'N',
    fallback: '2',
    help: 'maximum time that a run waits for a batch (default: 2)',
  },
  'max-queue': {
    type: 'string',
    value: 'N',
    fallback: '128',
    help: 'maximum runs that wait for one model; more are refused (default: 128)',
  },
  'max-cost': {
    type: 'string',
    value: 'N',
    fallback: String(ORIGIN_LIMITS.requestCost),
    help: [
      'maximum cost of the runs of one request, in units; generated texts are',
      `bounded by their model's context instead (default: ${ORIGIN_LIMITS.requestCost})`,
    ],
  },
} as const satisfies OriginOptionTable

const PROCESS_OPTIONS = {
  cache: {
    type: 'string',
    value: 'DIR',
    fallback: join(ROOT, '.verge/origin-cache'),
    help: 'artifacts by digest, and the last good copy of the catalogue (default: .verge/origin-cache)',
  },
  'cache-gb': {
    type: 'string',
    value: 'N',
    fallback: '20',
    help: 'maximum size of the cache (default: 20)',
  },
  'drain-seconds': {
    type: 'string',
    value: 'N',
    fallback: '30',
    help: 'time after SIGTERM to finish requests (default: 30)',
  },
  'log-level': {
    type: 'string',
    value: 'LEVEL',
    fallback: 'info',
    help: 'debug, info, warn, error, silent (default: info)',
  },
  'log-format': {
    type: 'string',
    value: 'FORMAT',
    fallback: '',
    help: 'log format: lines (text) or json, one object per line (default: lines on a terminal, else json)',
  },
} as const satisfies OriginOptionTable

/** Every option; each may also be set as `VERGE_ORIGIN_<NAME>`. */
const FIELDS = { ...CATALOGUE_OPTIONS, ...NETWORK_OPTIONS, ...RUN_OPTIONS, ...PROCESS_OPTIONS } as const

/** All that the parser takes. */
export const OPTIONS = { ...FIELDS, ...HELP_OPTION } as const

/** Width of the help's column of options. */
const COLUMN = 22

/** The help's lines about options, in their groups. */
export const OPTIONS_HELP = [CATALOGUE_OPTIONS, NETWORK_OPTIONS, RUN_OPTIONS, { ...PROCESS_OPTIONS, ...HELP_OPTION }]
  .map((group) => helpOf(group, COLUMN))
  .join('\n\n')

export type OptionName = keyof typeof FIELDS
/** For what refers to them: documents and deployment files. @public */
export const OPTION_NAMES = Object.keys(FIELDS) as readonly OptionName[]

export interface OriginOptions extends Omit<OriginSettings, 'source'> {
  readonly from: string
  readonly logFormat: (typeof LOG_FORMATS)[number]
}

const LOG_FORMATS = ['lines', 'json'] as const

const GB = 1e9
/** Of the machine's, or the container's, memory: the rest is for activations, for Node and for the system. */
const MEMORY_SHARE = 0.6

/** @returns undefined if help was asked for. @throws UsageError, and what `parseArgs` throws */
export async function readOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  isTerminal = false,
): Promise<OriginOptions | undefined> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  if (values.help) return undefined
  // An empty variable counts as unset, as templates leave it.
  const text = (name: OptionName): string => values[name] ?? (environment[variableOf(name)] || FIELDS[name].fallback)
  const number = (name: OptionName, least: number, most: number, whole = true): number => {
    const value = Number(text(name))
    if (text(name).trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value))) return value
    throw new UsageError(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${least} to ${most}.`)
  }
  const models = list('models', text('models'), MODEL_NAME)
  const preload = list('preload', text('preload'), MODEL_NAME)
  const stranger = preload.find((model) => models.length > 0 && !models.includes(model))
  if (stranger !== undefined)
    throw new UsageError(`--preload names "${stranger}", but --models does not. Add it to --models.`)
  return {
    from: text('from'),
    ...(models.length > 0 && { models: new Set(models) }),
    preload,
    releaseKeys: await readReleaseKeys(text('from'), environment),
    ...tracesOf(environment),
    keys: await readKeys(text('key-file'), environment),
    host: text('host'),
    port: number('port', 0, 65_535),
    adminHost: text('admin-host'),
    adminPort: number('admin-port', 0, 65_535),
    cacheFolder: resolve(text('cache')),
    cacheBytes: number('cache-gb', 0.001, 1e6, false) * GB,
    memoryBytes: text('memory-gb') === '' ? defaultMemory() : number('memory-gb', 0.001, 1e6, false) * GB,
    maxBatch: number('max-batch', 1, 4096),
    maxWaitMs: number('max-wait-ms', 0, 10_000, false),
    maxQueue: number('max-queue', 1, 100_000),
    maxCost: number('max-cost', 1, 1e12),
    providers: providersOf(text('providers')),
    ...(text('threads') !== '' && { threads: number('threads', 1, 1024) }),
    drainMs: number('drain-seconds', 0, 3600, false) * 1000,
    logLevel: oneOf('log-level', text('log-level'), LOG_LEVELS),
    logFormat: oneOf('log-format', text('log-format') || (isTerminal ? 'lines' : 'json'), LOG_FORMATS),
  }
}

/** `VERGE_ORIGIN_ADMIN_PORT` for `admin-port`. */
export function variableOf(name: OptionName): string {
  return `VERGE_ORIGIN_${name.toUpperCase().replaceAll('-', '_')}`
}

const RELEASE_KEYS = 'VERGE_RELEASE_KEYS'

/** The public keys that releases must be signed with, as the Worker's RELEASE_KEYS has them. */
async function readReleaseKeys(from: string, environment: NodeJS.ProcessEnv): Promise<readonly ReleaseKey[]> {
  try {
    const keys = parsePublicKeys(environment[RELEASE_KEYS] ?? '')
    if (keys.length > 0 && !/^(https?|s3):\/\//i.test(from)) {
      throw new UsageError(
        `${RELEASE_KEYS} needs a signed catalogue: of a Worker or a bucket. The models of the folder of --from are packed ` +
          'here, and not signed.',
      )
    }
    return await Promise.all(keys.map(releaseKey))
  } catch (error) {
    if (!(error instanceof PublicKeyFault)) throw error
    throw new UsageError(`${RELEASE_KEYS} ${error.message}.`)
  }
}

/** By OpenTelemetry's own names, which other programs on the machine read, too. */
function tracesOf(environment: NodeJS.ProcessEnv): Pick<OriginSettings, 'traces'> {
  const endpoint = environment.OTEL_EXPORTER_OTLP_ENDPOINT ?? ''
  if (endpoint === '') return {}
  const url = tracesUrl(endpoint)
  if (url === undefined)
    throw new UsageError(
      'OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// address without a name or a password.',
    )
  const headers = parseHeaders(environment.OTEL_EXPORTER_OTLP_HEADERS ?? '')
  if (headers === undefined)
    throw new UsageError(
      'OTEL_EXPORTER_OTLP_HEADERS must be name=value, separated by commas, with percent-encoded values.',
    )
  return { traces: { url, headers, serviceName: environment.OTEL_SERVICE_NAME || 'verge-origin' } }
}

/** The accepted signing keys; the first signs requests to the Worker. Never printed. */
async function readKeys(file: string, environment: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const given = environment.VERGE_ORIGIN_KEY ?? ''
  if (given !== '' && file !== '') throw new UsageError('Set either VERGE_ORIGIN_KEY or --key-file, not both.')
  if (given === '' && file === '') return [await localOriginKey()]
  const text =
    given !== ''
      ? given
      : await readFile(file, 'utf8').catch((error: unknown) => {
          throw new UsageError(`The file of --key-file cannot be read.`, { cause: error })
        })
  const keys = text
    .split(/[,\n]/)
    .map((key) => key.trim())
    .filter((key) => key !== '')
  const source = given === '' ? '--key-file' : 'VERGE_ORIGIN_KEY'
  if (keys.length === 0) throw new UsageError(`${source} has no key. Create one: openssl rand -hex 32`)
  if (keys.some((key) => key.length < LEAST_SECRET)) {
    throw new UsageError(
      `Each key in ${source} must have at least ${LEAST_SECRET} characters. Create one: openssl rand -hex 32`,
    )
  }
  return keys
}

function list(name: OptionName, text: string, pattern: RegExp): readonly string[] {
  const names = text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
  const wrong = names.find((each) => !pattern.test(each))
  if (wrong !== undefined) throw new UsageError(`--${name}: "${wrong}" is not a model name.`)
  return names
}

function providersOf(text: string): readonly Provider[] {
  const names = text.split(',').map((name) => name.trim())
  return names.map((name) => oneOf('providers', name, PROVIDERS))
}

function oneOf<T extends string>(name: OptionName, text: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === text)
  if (found === undefined) throw new UsageError(`--${name}: "${text}" is not one of ${allowed.join(', ')}.`)
  return found
}

function defaultMemory(): number {
  // A container's memory limit; above the machine's memory if there is no limit.
  return Math.floor(Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) * MEMORY_SHARE)
}
