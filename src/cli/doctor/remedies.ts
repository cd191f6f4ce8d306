import { REQUEST_ID_HEADER } from '../../core/headers.ts'
import { codeOf, type VisitorResponse } from './visitor.ts'

/** What mends a failure of the operator's, by Verge's error code. */
const BY_CODE: Readonly<Record<string, string>> = {
  weights_unavailable:
    'A chunk of its weights is missing in R2, or cannot be read. Push the model again ("verge setup", or "npm run seed" on this ' +
    'machine): only what is missing is written.',
  weights_corrupt:
    'A chunk of its weights is damaged in every store. Push the model again: damaged chunks are replaced.',
  manifest_invalid: 'Its manifest is missing or was edited. Push the model again, or roll back to another version.',
  alias_invalid: 'Its alias was edited, or written by a newer Verge. Push the model again, or deploy the newer Worker.',
  store_unavailable:
    'R2 or KV did not answer. Check that the bindings in wrangler.toml name what is in the account; look at status.cloudflare.com.',
  model_invalid: 'ONNX Runtime does not take the file. "npx verge pack" says why.',
  model_too_large: 'It does not fit an isolate. Quantize it: "npx verge pack" shows what it takes.',
  engine_full:
    'Other models held the memory of the isolate. Run the doctor again; if it stays, unpin models or use an origin.',
  engine_unsupported:
    'None of its artifacts runs at the edge. "npx verge pack" says why; docs/origin/README.md shows how to run it on a larger machine.',
  overloaded:
    'The isolate had taken on as much work as callers wait for. Run the doctor again; if it stays, add an origin or look who calls.',
  deadline_exceeded: 'It took longer than REQUEST_DEADLINE_MS. Run the doctor again: a first load takes longest.',
  engine_aborted: 'The run aborted the engine. The log has the reason under the request id: npx wrangler tail',
  origin_unavailable:
    'It runs on an origin alone, and none answers for it. Start one (npm run origin on this machine), or see ' +
    'See docs/origin/troubleshooting.md.',
  origin_failed: 'The answer of an origin was wrong: look up the reason in docs/origin/troubleshooting.md.',
  placement_impossible:
    'Nothing that is configured can run it: it has no artifact for the edge, and ORIGINS names no origin that has it.',
  unauthorized: "VERGE_API_KEY here is not the Worker's. Set the right one.",
}

/** Cloudflare's own error pages, by their numbers. */
const BY_CLOUDFLARE: Readonly<Record<string, string>> = {
  '1015': 'Cloudflare limits how often you may ask. Wait a minute.',
  '1027': "The free plan's 100,000 requests of today are used up.",
  '1101':
    'The Worker threw while it started: most often a variable or a secret that is not valid. See npx wrangler tail',
  '1102':
    'The Worker used more CPU time or memory than it may. On the free plan 10 ms is all there is: only small models fit.',
  '1042': 'A Worker may not call another on the same zone by its address.',
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
  return `The Worker's log says why: npx wrangler tail${id === null ? '' : `, request id ${id}`}`
}
