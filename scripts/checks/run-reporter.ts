import { writeFile } from 'node:fs/promises'
import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { errorsBeside } from './test-report.ts'

/**
 * Writes what failed outside of every test: unhandled rejections, workers that crashed or did not start. Vitest ends with
 * 1 for them, and its JSON reporter leaves them out. The file lies beside the JSON report.
 */
export default class RunReporter implements Reporter {
  #vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.#vitest = vitest
  }

  async onTestRunEnd(_modules: readonly TestModule[], errors: Parameters<Required<Reporter>['onTestRunEnd']>[1]) {
    const { outputFile } = this.#vitest?.config ?? {}
    const report = typeof outputFile === 'string' ? outputFile : outputFile?.json
    if (report === undefined) return
    const said = errors.map((error) => ({
      message: `${error.name ?? 'Error'}: ${error.message}`,
      during: error.VITEST_TEST_PATH ?? null,
      stack: error.stack ?? null,
    }))
    await writeFile(errorsBeside(report), `${JSON.stringify(said, null, 2)}\n`)
  }
}
