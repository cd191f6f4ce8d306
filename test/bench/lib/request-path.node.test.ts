/** How many files a request runs through, and how often a lower room calls a higher one on its way. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import type { RequestPath } from '../../../bench/lib/request-path.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

/**
 * The most files that each request may run through. A new step of every request belongs into a file that changes for the
 * same reasons, or needs a reason for a file of its own in the commit that raises the budget.
 */
const BUDGETS: Readonly<Record<string, number>> = {
  // Of it one that finds the drawing in a picture of a sign, and in each of them one that looks for a credential, and the ledger,
  // which counts what runs take and has them paid for; two begin and end a request that is limited and counted,
  // and one says that this one has no limits. One keeps a model's session, whichever work it is for. One keeps secrets out of the log, by the form that they have.
  // One says whose request it is, and one chooses among the live versions by that.
  // The order of an inference, the slot, what is passed on to origins, what runs a model, and what has tokens paid for change for reasons of their own.
  // One tells who watches what the inference did.
  'POST /run/digits, a PNG': 64,
  'POST /v2/models/digits/infer, binary tensors': 51,
  // Of it two that all protocols of texts share, and one that reads what the origin took.
  'POST /v1/chat/completions, streamed by an origin': 49,
}

/** Handlers that inference calls back, and a task that has its model run. */
const MOST_RETURNS = 2

it('takes no more files and returns upwards than its budget', async () => {
  // A process of its own: modules are instrumented as they are loaded, which a test runner has done already.
  const script = join(ROOT, 'bench/request-path.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--json'], { maxBuffer: 16e6 })
  const paths = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as RequestPath[]
  expect(paths.map(({ name }) => name)).toEqual(Object.keys(BUDGETS))
  for (const { name, files, returns } of paths) {
    // Far fewer would mean that the measurement misses what runs.
    expect(files.length, name).toBeGreaterThan(20)
    expect(files.length, `${name}\n${files.join('\n')}`).toBeLessThanOrEqual(BUDGETS[name] ?? 0)
    expect(returns.length, `${name}\n${returns.join('\n')}`).toBeLessThanOrEqual(MOST_RETURNS)
    expect(
      returns.some((each) => each.startsWith('src/inference -> src/http ')),
      name,
    ).toBe(true)
  }
})
