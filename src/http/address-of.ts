import { VergeError } from '../core/errors.ts'
import { isProtocol, PROTOCOLS, type ProtocolName } from '../protocols/names.ts'
import { ADDRESSES, type AddressDefaults, answersAtRoot, needsModel, rootOrder, rootPath } from './addresses.ts'

/** Where paths lead that have no address: what lies below belongs to a protocol. The first one that fits. */
const FAMILIES: readonly (readonly [RegExp, ProtocolName])[] = [
  [/^\/(hf-inference\/)?models\/[^/]+\/v1\//, 'openai'],
  [/^\/v1\//, 'openai'],
  [/^\/v2(\/|$)/, 'oip'],
  [/^\/(models|hf-inference|pipeline)\//, 'huggingface'],
  [/^\/api\//, 'ollama'],
  [/^\/client\/v4\//, 'workers-ai'],
]

/** The protocol that a path is addressed to, by its prefix or at the root; with the one whose shape its failures have. */
export function protocolAt(
  path: string,
  defaults: AddressDefaults = {},
): { protocol: ProtocolName; errors: ProtocolName } {
  const first = path.split('/', 2)[1]
  if (isProtocol(first)) {
    const rest = path.slice(first.length + 1) || '/'
    const address = ADDRESSES[first].find((each) => matches(each.path, rest))
    return { protocol: first, errors: address?.errors ?? familyErrors(first, rest) }
  }
  for (const protocol of rootOrder(defaults)) {
    const address = ADDRESSES[protocol].find(
      (each) => answersAtRoot(protocol, each, defaults) && matches(rootPath(each) ?? '', path),
    )
    if (address !== undefined) return { protocol, errors: address.errors ?? protocol }
  }
  const family = FAMILIES.find(([pattern]) => pattern.test(path))?.[1] ?? 'verge'
  return { protocol: family, errors: family }
}

/** Hugging Face's addresses for chats and texts speak OpenAI's protocol, unknown ones below them too. */
function familyErrors(protocol: ProtocolName, rest: string): ProtocolName {
  const family = FAMILIES.find(([pattern]) => pattern.test(rest))?.[1]
  return protocol === 'huggingface' && family === 'openai' ? 'openai' : protocol
}

/** The same path behind its protocol's prefix, with its model: what an origin of Verge's own is asked, whose defaults are others. */
export function prefixed(path: string, defaults: AddressDefaults): string {
  const { protocol } = protocolAt(path, defaults)
  if (path === `/${protocol}` || path.startsWith(`/${protocol}/`)) return path
  const address = ADDRESSES[protocol].find(
    (each) => answersAtRoot(protocol, each, defaults) && matches(rootPath(each) ?? '', path),
  )
  const model = address !== undefined && needsModel(address) ? `/${defaults.defaultModel ?? ''}` : ''
  return `/${protocol}${model}${path}`
}

/** A path that names its model, with another name for it. */
export function pathWithModel(path: string, model: string, defaults: AddressDefaults): string {
  const { protocol } = protocolAt(path, defaults)
  const prefix = path.startsWith(`/${protocol}/`) ? `/${protocol}` : ''
  const patterns = ADDRESSES[protocol].flatMap((address) => {
    const own = prefix === '' ? rootPath(address) : address.path
    return own === undefined ? [] : [prefix + own]
  })
  const place =
    patterns
      .find((pattern) => matches(pattern, path))
      ?.split('/')
      .indexOf('{model}') ?? -1
  return place === -1 ? path : path.split('/').with(place, model).join('/')
}

/**
 * Why a path has no address: it would have one if the configuration said which protocol or which model is meant, or there is
 * nothing at all.
 */
export function nothingAt(method: string, path: string): VergeError {
  const shown = path.slice(0, MOST_SHOWN)
  const first = path.split('/', 2)[1]
  const prefix = isProtocol(first) ? first : undefined
  const atRoot = prefix === undefined ? path : path.slice(prefix.length + 1)
  const asked = method === 'HEAD' ? 'GET' : method
  const possible = (prefix === undefined ? PROTOCOLS : [prefix]).flatMap((protocol) =>
    ADDRESSES[protocol]
      .filter((address) => address.method === asked && matches(rootPath(address) ?? '', atRoot))
      .map((address) => ({ protocol, address })),
  )
  const nothing = new VergeError('not_found', `There is nothing at ${shown}. GET / lists what there is.`)
  if (possible.length === 0) return nothing
  const addresses = possible.map(({ address, protocol }) => `/${protocol}${address.path}`)
  const variables = [
    ...(prefix === undefined && possible.some(({ address }) => address.root === 'default-protocol')
      ? ['DEFAULT_PROTOCOL']
      : []),
    ...(possible.some(({ address }) => needsModel(address)) ? ['DEFAULT_MODEL'] : []),
  ]
  // It has an address, and what would answer there is not part of this server.
  if (variables.length === 0) return nothing
  const lacks = variables[0] === 'DEFAULT_PROTOCOL' ? 'does not say which protocol is meant' : 'names no model'
  return new VergeError(
    'not_found',
    `The path ${shown} ${lacks}. Use ${addresses.join(' or ')}, or set the variable ${variables.join(' and ')}.`,
    { details: { addresses, variables } },
  )
}

/** Characters of a path that an error shows. */
const MOST_SHOWN = 200

/** Whether a path is one of an address's pattern. */
function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  const rest = wanted.at(-1)?.endsWith('...}') === true
  if (rest ? given.length < wanted.length : given.length !== wanted.length) return false
  return wanted.every((segment, place) => {
    const own = given[place] ?? ''
    return segment.startsWith('{') ? own !== '' : segment === own
  })
}
