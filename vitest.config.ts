import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: { name: 'worker', include: ['test/worker/**/*.test.ts'], testTimeout: 30_000 },
      },
      {
        test: { name: 'node', include: ['test/node/**/*.test.ts'], testTimeout: 60_000 },
      },
      {
        test: {
          name: 'e2e',
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
