import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { guardWorkerd } from './src/cli/local/guard/guard.ts'

// Tests that are killed leave no workerd behind.
guardWorkerd()

/** What is polled for comes soon, and late on a machine that is busy with other things. */
const expect = { poll: { timeout: 20_000 } }

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: { name: 'worker', expect, include: ['test/**/*.worker.test.ts'], testTimeout: 30_000 },
      },
      {
        test: {
          name: 'node',
          expect,
          include: ['test/**/*.node.test.ts'],
          testTimeout: 60_000,
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
          // Each file starts workerd and loads the machine on purpose; side by side they would disturb each other.
          fileParallelism: false,
        },
      },
    ],
  },
})
