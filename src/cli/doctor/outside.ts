import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import { VERSION } from '../../version.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'
import { engineNames } from './engine-names.ts'
import { checkModels, MOST_MODELS, type ModelCheckOptions } from './models.ts'
import { checkOrigins } from './origins.ts'
import { checkCors, checkErrors, checkHeaders, checkPrivacy, reasonOf } from './protocol.ts'
import { remedyFor } from './remedies.ts'
import { checkTrials } from './trials.ts'
import { fieldOf, gist, Visitor, type VisitorResponse } from './visitor.ts'

export interface OutsideOptions extends ModelCheckOptions {
  /** A page that should be let in; null for none. */
  readonly corsOrigin: string | null
  /** Names in PINNED_MODELS. */
  readonly pinned: readonly string[]
  /** Milliseconds since 1970. */
  readonly now: number
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'No program listens at this address. Start Verge (npm start), or check the port.',
  ENOTFOUND: 'This host does not exist. Copy the address that "wrangler deploy" printed.',
  EAI_AGAIN: 'The name could not be looked up. Check the network.',
  ECONNRESET:
    'The server closed the connection. Check whether the address needs https:// or belongs to another program.',
}

/** Everything that can be seen of a Worker from outside, as a stranger and, with a key, as the operator. */
export async function checkOutside(visitor: Visitor, options: OutsideOptions): Promise<Check[]> {
  const reached = await reach(visitor)
  if (!('index' in reached)) return [reached.check]
  const { index } = reached
  const checks = [reached.check, versionCheck(index), ...checkHeaders(visitor, index)]
  try {
    checks.push(await healthCheck(visitor))
    const { found, all, hidden, accepted } = await listModels(visitor)
    checks.push(...found, ...pinnedChecks(options.pinned, all, accepted && visitor.hasKey))
    // With a key that is refused nothing would be answered; what strangers see can be checked all the same.
    const caller = accepted ? visitor : new Visitor(visitor.origin, undefined)
    checks.push(...(await checkModels(caller, all, options)))
    checks.push(...(await checkOrigins(caller, all.slice(0, MOST_MODELS))))
    checks.push(...(await checkTrials(caller, all, options.now)))
    checks.push(...(await checkErrors(caller, all)))
    checks.push(...(await checkCors(caller, options.corsOrigin)))
    checks.push(...(await checkPrivacy(caller, hidden)))
  } catch (error) {
    const fix = 'It answered before. Check whether it still runs, and read its log: npx wrangler tail'
    checks.push(fail('address', `${visitor.origin} no longer answers (${reasonOf(error)})`, fix))
  }
  return checks
}

/** Whether it is Verge at all; everything else would only repeat that it is not. */
async function reach(
  visitor: Visitor,
): Promise<{ readonly check: Check; readonly index: VisitorResponse } | { readonly check: Check }> {
  const area = 'address'
  let index: VisitorResponse
  try {
    index = await visitor.ask('/')
  } catch (error) {
    const reason = reasonOf(error)
    return {
      check: fail(
        area,
        `${visitor.origin} does not answer (${reason})`,
        NETWORK[reason] ?? 'Check the address and the network.',
      ),
    }
  }
  if (index.status >= 300 && index.status < 400) {
    const target = index.headers.get('location') ?? ''
    const to = URL.canParse(target, visitor.origin) ? new URL(target, visitor.origin).origin : 'elsewhere'
    return { check: fail(area, `${visitor.origin} redirects to ${to}`, `Use that address: --url ${to}`) }
  }
  if (fieldOf(index.json, 'name') !== 'verge') {
    const isVerge = index.headers.get(REQUEST_ID_HEADER) !== null || /configuration is invalid/.test(index.text)
    const fix =
      index.status >= 500 || isVerge ? remedyFor(index) : 'Another program or site answers at this address. Check it.'
    return { check: fail(area, `${visitor.origin} is not Verge: ${gist(index)}`, fix) }
  }
  return { check: ok(area, `${visitor.origin} is Verge`), index }
}

function versionCheck({ json }: VisitorResponse): Check {
  const version = String(fieldOf(json, 'version'))
  if (version === VERSION) return ok('version', `${version}, the same as here`)
  return warn(
    'version',
    `the Worker runs ${version}, this folder has ${VERSION}`,
    'Deploy, or check out the version that runs. The checks match the version in this folder.',
  )
}

async function healthCheck(visitor: Visitor): Promise<Check> {
  const answer = await visitor.ask('/healthz')
  const engine = engineNames(String(fieldOf(answer.json, 'engine')), String(fieldOf(answer.json, 'version')))
  if (answer.status === 200 && fieldOf(answer.json, 'status') === 'ok')
    return ok('health', `the engine works: ${engine}`)
  return fail('health', `the engine does not work: ${gist(answer)}`, remedyFor(answer))
}

interface Listed {
  readonly found: readonly Check[]
  /** Models that can be asked: all of them with a key, the public ones without. */
  readonly all: readonly string[]
  /** Models that only the operator sees. */
  readonly hidden: readonly string[]
  /** Whether the key, if there is one, is the operator's. */
  readonly accepted: boolean
}

async function listModels(visitor: Visitor): Promise<Listed> {
  const area = 'models'
  const checks: Check[] = []
  const stranger = await visitor.ask('/v1/models')
  if (stranger.status !== 200) {
    return {
      found: [fail(area, `cannot be listed: ${gist(stranger)}`, remedyFor(stranger))],
      all: [],
      hidden: [],
      accepted: true,
    }
  }
  const open = namesIn(stranger)
  let all = open
  if (visitor.hasKey) {
    // A public route answers to any key: what only the operator may see says whether this one is right.
    const proof = await visitor.ask('/explain/no-such-model', { asOperator: true })
    const operator = proof.status === 401 ? proof : await visitor.ask('/v1/models', { asOperator: true })
    if (operator.status === 200) {
      checks.push(ok('key', "VERGE_API_KEY is the operator's key"))
      all = namesIn(operator)
    } else {
      const fix =
        'Set VERGE_API_KEY here to the key of the Worker, or set a new key in the Worker: npx wrangler secret put VERGE_API_KEY ' +
        '--env NAME (.dev.vars on this machine).'
      checks.push(fail('key', `VERGE_API_KEY is not accepted: ${gist(operator)}`, fix))
      return { found: [...checks, modelsCheck(open, open)], all: open, hidden: [], accepted: false }
    }
  } else {
    checks.push(skip('key', 'VERGE_API_KEY is not set: only public models are checked'))
  }
  checks.push(modelsCheck(all, open))
  return { found: checks, all, hidden: all.filter((model) => !open.includes(model)), accepted: true }
}

/** @param complete whether private models are in the list too */
function pinnedChecks(pinned: readonly string[], all: readonly string[], complete: boolean): Check[] {
  return pinned
    .filter((model) => !all.includes(model))
    .map((model) =>
      complete
        ? fail('models', `PINNED_MODELS names ${model}, which does not exist`, 'Push the model, or remove its name.')
        : skip('models', `PINNED_MODELS names ${model}, which is private or missing (set VERGE_API_KEY to find out)`),
    )
}

function modelsCheck(all: readonly string[], open: readonly string[]): Check {
  if (all.length === 0) {
    const fix =
      'Push some: npx verge setup --env NAME (npm start on this machine). If all are private, set VERGE_API_KEY. ' +
      'If they were pushed, the Worker reads another bucket: compare wrangler.toml.'
    return fail('models', 'no model is visible', fix)
  }
  const some = open.length === all.length ? '' : `; ${all.length - open.length} of them private`
  return ok('models', `${all.join(', ')}${some}`)
}

function namesIn({ json }: VisitorResponse): string[] {
  const data = fieldOf(json, 'data')
  if (!Array.isArray(data)) return []
  // Names are inserted into addresses, so anything but a valid model name is ignored.
  return data
    .map((entry: unknown) => String(fieldOf(entry, 'id')))
    .filter((id) => /^[a-z0-9][a-z0-9._-]{0,63}$/.test(id))
}
