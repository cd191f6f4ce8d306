import { defineConfig } from 'vitest/config'
import { guardWorkerd } from './src/cli/local/guard/guard.ts'

// Tests that are killed leave no workerd behind.
guardWorkerd()

/** Tests that take minutes: what `npm test` leaves out and CI adds. */
export default defineConfig({
  test: {
    name: 'full',
    // Tests load onnxruntime-node by themselves, as something to compare with.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    include: ['test/e2e/**/*.full.ts'],
    globalSetup: ['test/fixtures/node/chromium-setup.ts'],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    // Two files at a time: each waits for processes of its own most of the time, and none is by the clock.
    maxWorkers: 2,
    // What is polled for comes soon, and late on a machine that is busy with other things.
    expect: { poll: { timeout: 20_000 } },
  },
})
