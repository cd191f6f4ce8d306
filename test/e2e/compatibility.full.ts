import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadModels, loadRows } from '../../scripts/compatibility/load.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack } from '../../src/cli/pack/packer.ts'
import { publish } from '../../src/cli/push/publish.ts'
import { type DocsWorker, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { writerFor } from '../fixtures/node/publish.ts'

/** Every command of docs/compatibility.md, as it is printed, against one Worker that has all models which they name. */
const modules = await loadModels()
const commands = (await loadRows()).flatMap((row) =>
  row.state === 'works' ? [{ name: `${row.group}: ${row.what}`, curl: row.curl }] : [],
)

const KEY = 'a-key-for-the-commands-0123456789'
let docs: DocsWorker

beforeAll(async () => {
  const names = modules.flatMap((module) => Object.entries(module.names ?? {}).map((entry) => entry.join('=')))
  docs = await startDocsWorker({ MODEL_NAMES: names.join(','), VERGE_API_KEY: KEY })
  // A failure has to be one of the command, too.
  writeFileSync(join(docs.folder, '.curlrc'), 'silent\nshow-error\nfail-with-body\n')
  const writer = await writerFor(docs.worker)
  for (const { models, samples = {} } of modules) {
    for (const [name, make] of Object.entries(models)) {
      const { files, settings } = await make()
      const description = descriptionSchema.parse({
        version: '1',
        licence: 'Apache-2.0',
        artifacts: [{ file: 'model.onnx', dtype: 'fp32' }],
        visibility: 'public',
        ...settings,
        name,
      })
      const packed = typeof files === 'string' ? pack(description, join(ROOT, files)) : pack(description, '.', files)
      await publish(writer, await packed)
    }
    for (const [name, make] of Object.entries(samples)) writeFileSync(join(docs.folder, name), await make())
  }
}, 600_000)
afterAll(() => docs?.dispose())

it('there are commands', () => {
  expect(commands.length).toBeGreaterThan(10)
})

it.each(commands)('$name', async ({ curl }) => {
  const printed = await docs.shell(`KEY=${KEY}\n${curl}`)
  const [, file] = / -o (\S+)$/.exec(curl) ?? []
  const answer = file === undefined ? printed : readFileSync(join(docs.folder, file), 'latin1')
  expect(answer).not.toBe('')
  // A stream that has begun cannot have another status any more.
  expect(answer).not.toMatch(/"request_id":/)
})
