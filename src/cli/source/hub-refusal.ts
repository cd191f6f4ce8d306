import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { SourceResponse } from './http.ts'
import type { HubSpec } from './spec.ts'

/**
 * The reason why the hub refuses a request, and what to do. The hub sends the reason in `X-Error-Code`; mirrors send
 * only the status.
 * @param file the requested file; undefined for the repository
 */
export function refusal(
  answer: SourceResponse,
  spec: HubSpec,
  endpoint: URL,
  hasToken: boolean,
  file?: string,
): UsageError {
  const code = answer.header('x-error-code') ?? ''
  const { repo, revision } = spec
  const what = file === undefined ? `hf:${repo}` : `${safeName(file)} of hf:${repo}`
  const page = `${endpoint.href}${repo}`
  if (answer.url.origin !== endpoint.origin) {
    // The last of the way is a file store with a signed address; it knows nothing of repositories or tokens.
    return new UsageError(
      `${answer.url.host}, to which the hub redirects for ${what}, answers with HTTP ${answer.status}. Run the command again.`,
    )
  }
  if (code === 'GatedRepo') {
    const token = hasToken ? 'HF_TOKEN has no access yet' : 'HF_TOKEN is not set'
    return new UsageError(`${what} is gated: accept its terms at ${page}, and set HF_TOKEN to your token. (${token}.)`)
  }
  if (code === 'RevisionNotFound') {
    return new UsageError(`hf:${repo} has no revision "${safeName(revision)}". See ${page}/commits for the revisions.`)
  }
  if (code === 'EntryNotFound') {
    return new UsageError(
      `hf:${repo} has no file "${safeName(file ?? '')}" at ${safeName(revision)}. See ${page}/tree/main for the files.`,
    )
  }
  if (answer.status === 401 || answer.status === 403) {
    return new UsageError(
      hasToken
        ? `The hub refuses ${what}, because HF_TOKEN is invalid or has no access. Check the name, the token, and the terms at ${page}.`
        : `The hub refuses ${what}. The repository does not exist, or is private or gated. Check the name. If it is right, accept the terms at ${page} and set HF_TOKEN.`,
    )
  }
  if (answer.status === 404) {
    return new UsageError(
      file === undefined
        ? `The hub has no repository "${repo}" with a revision "${safeName(revision)}", or hides it. Check the name, and set HF_TOKEN if it is private.`
        : `hf:${repo} has no file "${safeName(file)}" at ${safeName(revision)}. See ${page}/tree/main for the files.`,
    )
  }
  return new UsageError(`The hub answers with HTTP ${answer.status} for ${what}. Open ${page} in a browser.`)
}
