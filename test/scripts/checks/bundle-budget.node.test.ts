/** How large the Worker's scripts may be: all together, and each room of them. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  BUDGETS,
  bytesByRoom,
  overBudget,
  TOTAL_BYTES,
  TOTAL_GZIP_BYTES,
} from '../../../scripts/checks/bundle-budget.ts'
import { bundleWorker } from '../../../src/cli/local/bundle.ts'
import { bundleBytes } from '../../../src/cli/local/workerd.ts'

describe("the Worker's bundle", () => {
  it('keeps its scripts within their budget, as they are and compressed', async () => {
    const folder = await bundleWorker()
    const scripts = (await readdir(folder)).filter((name) => name.endsWith('.js'))
    const contents = await Promise.all(scripts.map((name) => readFile(join(folder, name))))
    const bytes = contents.reduce((sum, script) => sum + script.length, 0)
    expect(bytes).toBe(bundleBytes(folder).scripts)
    expect(bytes).toBeGreaterThan(100_000)
    expect(bytes).toBeLessThanOrEqual(TOTAL_BYTES)
    expect(contents.reduce((sum, script) => sum + gzipSync(script).length, 0)).toBeLessThanOrEqual(TOTAL_GZIP_BYTES)
  })

  it('keeps each room within its own, and accounts for nearly every byte', async () => {
    const folder = await bundleWorker()
    const rooms = bytesByRoom(JSON.parse(await readFile(join(folder, 'bundle-meta.json'), 'utf8')))
    expect(overBudget(rooms, BUDGETS)).toEqual([])
    const counted = [...rooms.values()].reduce((sum, bytes) => sum + bytes, 0)
    const { scripts } = bundleBytes(folder)
    expect(counted).toBeLessThanOrEqual(scripts)
    // What lies between the modules is esbuild's own: a line with each one's name, and the helpers at the head.
    expect(counted).toBeGreaterThan(0.97 * scripts)
    // Models are read and made smaller by the command line alone.
    for (const tool of ['src/cli', 'src/cloudflare', 'src/compile', 'src/onnx', 'src/origin', 'src/quantize']) {
      expect(rooms.has(tool)).toBe(false)
    }
  })

  it('has little WebAssembly beside ONNX Runtime, far below the 64 MiB that may be uploaded', async () => {
    const { wasm } = bundleBytes(await bundleWorker())
    expect(wasm).toBeGreaterThan(10e6)
    expect(wasm).toBeLessThan(16e6)
  })
})

describe('a budget', () => {
  const metafile = {
    outputs: {
      'out/worker.js': {
        bytes: 700,
        inputs: {
          'src/http/status.ts': { bytesInOutput: 100 },
          'src/http/oip/routes.ts': { bytesInOutput: 50 },
          'src/app.ts': { bytesInOutput: 20 },
          'node_modules/zod/v4/core/util.js': { bytesInOutput: 300 },
          'node_modules/a/node_modules/@b/c/index.js': { bytesInOutput: 200 },
          'src/core/types.ts': { bytesInOutput: 0 },
        },
      },
      'out/worker.js.map': { bytes: 9000, inputs: {} },
    },
  }

  it('counts a module for its folder of src/, or for its package', () => {
    expect(Object.fromEntries(bytesByRoom(metafile))).toEqual({
      'src/http': 150,
      'src/app.ts': 20,
      zod: 300,
      '@b/c': 200,
    })
  })

  it('names what is over it, and what has none', () => {
    expect(overBudget(bytesByRoom(metafile), { 'src/http': 149, 'src/app.ts': 20, zod: 300 })).toEqual([
      'src/http adds 150 bytes to the Worker; its budget is 149',
      '@b/c adds 200 bytes to the Worker and has no budget: add one to scripts/checks/bundle-budget.ts',
    ])
  })
})
