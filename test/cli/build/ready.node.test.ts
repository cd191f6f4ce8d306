import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BUILD_OPTIONS, buildSettings } from '../../../src/cli/build/arguments.ts'
import { isReady, packReady } from '../../../src/cli/build/ready.ts'
import { parseCommand } from '../../../src/cli/command.ts'
import { matmulModel } from '../../../synthetic/onnx-models.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-ready-'))
  await writeFile(join(folder, 'model.onnx'), matmulModel(40_000))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const settingsFor = (...args: string[]) => buildSettings(parseCommand(args, BUILD_OPTIONS).values)

describe('a folder that is ready', () => {
  const downloadable = async (written: boolean | undefined, ...args: string[]) => {
    const artifacts = [{ file: 'model.onnx', dtype: 'fp32' }]
    const description = {
      name: 'm',
      version: '1',
      licence: 'MIT',
      engines: ['verge'],
      artifacts,
      downloadable: written,
    }
    await writeFile(join(folder, 'verge.json'), JSON.stringify(description))
    const settings = settingsFor(...args)
    expect(await isReady(folder, settings)).toBe(true)
    const { manifest } = await packReady(folder, settings.model)
    return [manifest.downloadable ?? false, manifest.artifacts[0]?.places.includes('browser')]
  }

  it('is downloadable as its verge.json says, unless a command says otherwise', async () => {
    expect(await downloadable(undefined)).toEqual([false, false])
    expect(await downloadable(true)).toEqual([true, true])
    expect(await downloadable(undefined, '--downloadable')).toEqual([true, true])
    expect(await downloadable(true, '--no-downloadable')).toEqual([false, false])
  })
})
