import type { CredentialCheck } from '../credentials.ts'
import { type FetchKeysOptions, fetchKeySet } from './fetch-keys.ts'
import type { Issuer, SignInHeader } from './issuers.ts'
import { type CopiesNamespace, KvKeySetCopies } from './kv-copies.ts'
import { SignIn, type SignInOptions } from './sign-in.ts'

export interface SignInDeps extends Pick<FetchKeysOptions, 'fetch'>, Pick<SignInOptions, 'clock' | 'logger'> {
  readonly limits: SignInOptions['limits'] & FetchKeysOptions['limits']
  /** Where isolates leave the keys of issuers for each other. */
  readonly namespace: CopiesNamespace
}

export interface SignInChecks {
  /** Of tokens in `authorization`. */
  readonly signIn?: CredentialCheck
  /** Of tokens that Cloudflare Access adds. */
  readonly access?: CredentialCheck
}

/** Checks of sign-in tokens, one for each header that an issuer is configured for. */
export function signInChecks(issuers: readonly Issuer[], deps: SignInDeps): SignInChecks {
  const signIn = new SignIn(issuers, {
    clock: deps.clock,
    logger: deps.logger,
    limits: deps.limits,
    copies: new KvKeySetCopies(deps.namespace, deps.limits),
    fetchKeys: (url) => fetchKeySet(url, deps),
  })
  const check =
    (header: SignInHeader): CredentialCheck =>
    (token, _, context) =>
      signIn.callerOf(token, header, context)
  return {
    ...(signIn.reads('authorization') && { signIn: check('authorization') }),
    ...(signIn.reads('cf-access-jwt-assertion') && { access: check('cf-access-jwt-assertion') }),
  }
}
