import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { ASSETS, buildAssets } from '../scripts/assets/parts.ts'
import { ROOT } from '../src/cli/files/project.ts'
import { bundleWorker } from '../src/cli/local/bundle.ts'
import { startWorkerd } from '../src/cli/local/workerd.ts'
import { packFolder } from '../src/cli/pack/packer.ts'
import { publish } from '../src/cli/push/publish.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { chromiumProgram } from './lib/chromium.ts'
import { machine } from './lib/machine.ts'
import { summarise } from './lib/stats.ts'
import { writerFor } from './lib/storage.ts'
import { plainText } from './lib/table.ts'

const HELP = `Measures what a visitor waits for a model in the browser: "reviews", over loopback, in Chromium.

Usage: node bench/visit.ts [--rounds N]

  --rounds N   fresh profiles, each with two visits and a second answer (8)

Times are from the import of /browser.js to the answer. CHROMIUM names the program; without it one is looked for by its usual names.`

const TEXT = 'A wonderful film: funny, moving and beautifully played.'

interface Visit {
  readonly firstMs: number
  readonly nextMs: number
}

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '8' }, help: { type: 'boolean' } } })
  if (values.help) return HELP
  await buildAssets()
  const worker = await startWorkerd(await bundleWorker(), { assets: ASSETS })
  const browser = await chromium.launch({
    executablePath: await chromiumProgram(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  try {
    await publish(await writerFor(worker), await packFolder(join(ROOT, 'models/reviews')))
    const visits: [Visit, Visit][] = []
    for (let round = 0; round < Number(values.rounds); round++) {
      const context = await browser.newContext()
      const visit = async (): Promise<Visit> => {
        const page = await context.newPage()
        await page.goto(`${worker.url}/v1/models`)
        const measured = (await page.evaluate(visitOf(worker.url))) as Visit
        await page.close()
        return measured
      }
      visits.push([await visit(), await visit()])
      await context.close()
    }
    const row = (name: string, times: readonly number[]): string[] => {
      const { mad, p50 } = summarise(times)
      return [name, p50.toFixed(1), mad.toFixed(1), Math.min(...times).toFixed(1)]
    }
    return plainText({
      title: `Chromium ${browser.version()}, ${machine().cpu}: "reviews" in the browser, milliseconds`,
      head: ['', 'median', 'deviation', 'least'],
      rows: [
        row(
          'first answer, fresh profile',
          visits.map(([{ firstMs }]) => firstMs),
        ),
        row(
          'first answer, second visit',
          visits.map(([, { firstMs }]) => firstMs),
        ),
        row(
          'next answer',
          visits.flat().map(({ nextMs }) => nextMs),
        ),
      ],
    })
  } finally {
    await browser.close()
    await worker.miniflare.dispose()
  }
})

/** A program for a page of the Worker. */
function visitOf(url: string): string {
  return `(async () => {
    const began = performance.now()
    const { createBrowserClient } = await import('/browser.js')
    const client = createBrowserClient({ url: '${url}', placement: 'browser' })
    await client.classify('reviews', ${JSON.stringify(TEXT)})
    const answered = performance.now()
    await client.classify('reviews', ${JSON.stringify(TEXT)})
    const nextMs = performance.now() - answered
    client.dispose()
    return { firstMs: answered - began, nextMs }
  })()`
}
