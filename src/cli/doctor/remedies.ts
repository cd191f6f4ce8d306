import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import { ORIGIN_COMMAND } from '../files/project.ts'
import { codeOf, type VisitorResponse } from './visitor.ts'

/** Fixes for the operator, by Verge's error code. */
const BY_CODE: Readonly<Record<string, string>> = {
  weights_unavailable:
    'A chunk of its weights is missing in R2, or cannot be read. Push the model again ("npx verge setup", or "npm start" on this ' +
    'machine): only missing chunks are written.',
  weights_corrupt:
    'A chunk of its weights is damaged in every store. Push the model again: damaged chunks are replaced.',
  manifest_invalid: 'Its manifest is missing or was edited. Push the model again, or roll back to another version.',
  alias_invalid: 'Its alias was edited, or written by a newer Verge. Push the model again, or deploy the newer Worker.',
  signature_invalid:
    'Its release is not signed as RELEASE_KEYS demands. Look at it ("npx verge models NAME"), then sign it: "npx verge keys sign NAME". ' +
    'docs/signing.md explains it.',
  release_outdated:
    'Its stored release is older than one that the Worker has seen. Find out who put it there, then release again: docs/signing.md, "Downgrades".',
  store_unavailable:
    'R2 or KV did not answer. Check that the resources named in wrangler.toml exist in the account, and see www.cloudflarestatus.com.',
  model_invalid: 'ONNX Runtime rejects the file. "npx verge pack" reports the reason.',
  model_too_large: 'It does not fit an isolate. Quantize it. "npx verge pack" shows its memory.',
  engine_full:
    'Other models used the memory of the isolate. Run the doctor again. If the problem remains, unpin models or use an origin.',
  engine_unsupported:
    'None of its artifacts runs at the edge. "npx verge pack" reports the reason. docs/origin/README.md shows how to run it on a larger machine.',
  overloaded:
    'The isolate was full. Run the doctor again. If the problem remains, add an origin or find the callers in the log.',
  deadline_exceeded: 'It took longer than REQUEST_DEADLINE_MS. Run the doctor again: a first load takes longest.',
  engine_aborted: 'The run aborted the engine. Look up the request id in the log: npx wrangler tail',
  origin_unavailable:
    `It runs only on origins, and no origin answers for it. Start one (${ORIGIN_COMMAND} on this machine), or ` +
    'see docs/origin/troubleshooting.md.',
  origin_failed: 'An origin gave an invalid answer. See docs/origin/troubleshooting.md.',
  placement_impossible:
    'It has no artifact for the edge, and ORIGINS names no origin that serves it. Add such an origin, or an artifact for the edge.',
  unauthorized: 'VERGE_API_KEY is not the key of the Worker. Set the right key.',
}

/** Cloudflare's own error pages, by their numbers. */
const BY_CLOUDFLARE: Readonly<Record<string, string>> = {
  '1015': 'Cloudflare limits the rate of requests. Wait a minute and try again.',
  '1027': "The free plan's 100,000 requests per day are used up. Wait for the next day, or use the paid plan.",
  '1101':
    'The Worker threw an exception at its start, usually because of an invalid variable or secret. See npx wrangler tail',
  '1102':
    'The Worker exceeded its CPU time or memory limit. The free plan allows 10 ms of CPU time, which is enough for small models only.',
  '1042': 'A Worker cannot call a Worker on the same zone by its address. Use a service binding.',
}

/** What to do about an answer that should have been another. */
export function remedyFor(answer: VisitorResponse): string {
  const code = codeOf(answer)
  const known = code === undefined ? undefined : BY_CODE[code]
  if (known !== undefined) return known
  const number = answer.status >= 400 ? /error code: (\d{4})|\bError (1\d{3})\b/.exec(answer.text) : null
  const page = BY_CLOUDFLARE[number?.[1] ?? number?.[2] ?? '']
  if (page !== undefined) return page
  const id = answer.headers.get(REQUEST_ID_HEADER)
  return `See the Worker's log: npx wrangler tail${id === null ? '' : `, request id ${id}`}`
}
