import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { guardWorkerd } from './src/cli/local/guard/guard.ts'

// Tests that are killed leave no workerd behind.
guardWorkerd()

// Without a page the Worker answers as before, so that its tests do not wait for one.
mkdirSync('.verge/assets', { recursive: true })

/** What is polled for comes soon, and late on a machine that is busy with other things. */
const expect = { poll: { timeout: 20_000 } }

/**
 * Files at once. Vitest would leave a processor idle, and on two run everything one after the other. At most four, because
 * an end-to-end test may take a gigabyte.
 */
const maxWorkers = Math.min(4, availableParallelism())

export default defineConfig({
  test: {
    maxWorkers,
    projects: [
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: {
          name: 'worker',
          expect,
          include: ['test/**/*.worker.test.ts'],
          testTimeout: 30_000,
          // A workerd for each file would take more than half of the time. No file may rely on an empty R2 or KV.
          isolate: false,
        },
      },
      {
        test: {
          name: 'node',
          expect,
          include: ['test/**/*.node.test.ts'],
          // Against what hangs alone: a test passes however many others want the cores.
          testTimeout: 180_000,
          hookTimeout: 120_000,
          // Tests load onnxruntime-node by themselves, as something to compare with.
          env: { ORT_DISABLE_TELEMETRY: '1' },
        },
      },
      {
        test: {
          name: 'e2e',
          expect,
          env: { ORT_DISABLE_TELEMETRY: '1' },
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/fixtures/node/bundle-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
