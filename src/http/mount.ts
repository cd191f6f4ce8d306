import type { Hono } from 'hono'
import { VergeError } from '../core/errors.ts'
import { PROTOCOLS, type ProtocolName } from '../protocols/names.ts'
import type { Address } from './address.ts'
import { ADDRESSES, type AddressDefaults, answersAtRoot, needsModel, rootOrder, rootPath } from './addresses.ts'
import type { AppEnv } from './app-env.ts'

/**
 * Mounts every protocol under its prefix, and at the root as far as the table of addresses and the configuration say. The
 * paths of its routes are those of the table.
 */
export function mountProtocols(
  app: Hono<AppEnv>,
  routes: Readonly<Record<ProtocolName, Hono<AppEnv>>>,
  defaults: AddressDefaults,
): void {
  for (const protocol of PROTOCOLS) {
    for (const address of ADDRESSES[protocol]) {
      if (address.state === 'not-yet') routes[protocol].on(address.method, honoPath(address.path), refusing(address))
    }
    app.route(`/${protocol}`, routes[protocol])
    // What stands at a protocol's own address is asked for with and without a slash at its end.
    for (const { handler, method, path } of routes[protocol].routes) {
      if (path === '/') app.on(method, `/${protocol}/`, handler)
    }
  }
  for (const protocol of rootOrder(defaults)) {
    for (const { handler, method, path } of routes[protocol].routes) {
      const address = addressOf(protocol, method, path)
      const atRoot = address && rootPath(address)
      if (address === undefined || atRoot === undefined) continue
      if (answersAtRoot(protocol, address, defaults)) app.on(method, honoPath(atRoot), handler)
      if (needsModel(address) && defaults.defaultModel !== undefined) {
        app.on(method, honoPath(`/${protocol}${atRoot}`), handler)
      }
    }
  }
}

/** The address of a route, by the path that Hono has for it. */
function addressOf(protocol: ProtocolName, method: string, path: string): Address | undefined {
  const pattern = path.replace(/:(\w+)(\{[^}]*\})?/g, (_, name: string, rest?: string) =>
    rest === undefined ? `{${name}}` : `{${name}...}`,
  )
  return ADDRESSES[protocol].find((address) => address.method === method && address.path === pattern)
}

function honoPath(path: string): string {
  return path.replace(/\{(\w+)(\.\.\.)?\}/g, (_, name: string, rest?: string) => `:${name}${rest ? '{.+}' : ''}`)
}

function refusing({ instead, method, path }: Address) {
  return (): never => {
    const then = instead === undefined ? '' : ` ${instead}`
    throw new VergeError('not_implemented', `${method} ${path} is not implemented yet.${then}`)
  }
}
