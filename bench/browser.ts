import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { bundleBrowser } from '../scripts/browser/bundle.ts'
import { ROOT } from '../src/cli/files/project.ts'
import { compileFile } from '../src/cli/pack/compiled.ts'
import { median } from '../src/cli/statistics.ts'
import { runScript } from '../src/cli/terminal/command-line.ts'
import type { ComparedAll, Comparison } from './browser/messages.ts'
import { chromiumProgram } from './lib/chromium.ts'
import { machine } from './lib/machine.ts'
import { withLastRun } from './lib/readme.ts'
import { serveFiles } from './lib/static-files.ts'
import { summarise } from './lib/stats.ts'
import { markdown, plainText, type Table } from './lib/table.ts'
import { madeModel } from './models/index.ts'

const HELP = `Measures Verge's own engine in Chromium beside onnxruntime-web: an encoder of MiniLM's shape in int8, one thread.

Usage: node bench/browser.ts [--rounds N] [--write]

  --rounds N   measurements of both engines, in turn (8)
  --write      into the table of bench/README.md

Both run in one web worker of one page. CHROMIUM names the program; without it one is looked for by its usual names.`

const LENGTHS = [16, 128, 512]

await runScript(HELP, async () => {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '8' }, write: { type: 'boolean' }, help: { type: 'boolean' } },
  })
  if (values.help) return HELP
  const folder = await mkdtemp(join(tmpdir(), 'verge-bench-browser-'))
  try {
    const table = await measure(folder, Number(values.rounds))
    if (values.write) {
      const readme = join(ROOT, 'bench/README.md')
      await writeFile(readme, withLastRun(await readFile(readme, 'utf8'), markdown(table), 'browser'))
    }
    return plainText(table)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

async function measure(folder: string, rounds: number): Promise<Table> {
  const { bytes } = await madeModel('encoder-int8')
  const compiled = await compileFile(bytes, {})
  if (!compiled.ok) throw new Error(compiled.note)
  const { scripts } = await bundleBrowser(folder, { engines: 'bench/browser/engines.ts' })
  await writeFile(join(folder, 'model.onnx'), bytes)
  await writeFile(join(folder, 'model.verge'), compiled.model.bytes)
  const files = await serveFiles(folder)
  const browser = await chromium.launch({
    executablePath: await chromiumProgram(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  try {
    const page = await browser.newPage()
    await page.goto(files.url)
    const comparison: Comparison = {
      onnx: `${files.url}/model.onnx`,
      own: `${files.url}/model.verge`,
      lengths: LENGTHS,
      rounds,
      roundMs: 1_000,
      warmUpMs: 1_500,
    }
    const answer = (await page.evaluate(`new Promise((resolve) => {
      const worker = new Worker('/${scripts.engines}', { type: 'module' })
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => resolve({ failed: message })
      worker.postMessage(${JSON.stringify(comparison)})
    })`)) as { readonly compared?: ComparedAll; readonly failed?: string }
    if (answer.compared === undefined) throw new Error(answer.failed)
    return tableOf(answer.compared, browser.version())
  } finally {
    await browser.close()
    await files.close()
  }
}

function tableOf({ lengths, ownLoadMs, relaxed, webLoadMs }: ComparedAll, version: string): Table {
  const { cpu } = machine()
  const ms = (times: readonly (readonly number[])[]): string => {
    const { mad, p50 } = summarise(times.flat())
    return `${p50.toFixed(1)} (${mad.toFixed(1)})`
  }
  return {
    title: `Chromium ${version}, ${cpu}, ${relaxed ? 'relaxed' : 'plain'} SIMD; milliseconds of a run, median (deviation). Loading: ${ownLoadMs.toFixed(0)} and ${webLoadMs.toFixed(0)} ms`,
    head: ['tokens', 'Verge', 'onnxruntime-web', 'ratio', 'first run: Verge', 'onnxruntime-web', 'cosine'],
    rows: lengths.map(({ cosine, length, own, ownFirstMs, web, webFirstMs }) => {
      const ratios = own.map((times, round) => median(times) / median(web[round] ?? []))
      return [
        String(length),
        ms(own),
        ms(web),
        `${median(ratios).toFixed(2)}x`,
        ownFirstMs.toFixed(0),
        webFirstMs.toFixed(0),
        cosine.toFixed(5),
      ]
    }),
  }
}
