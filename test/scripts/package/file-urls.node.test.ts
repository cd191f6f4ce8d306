import { expect, it } from 'vitest'
import { ownFileUrls } from '../../../scripts/package/file-urls.ts'

it('names modules that are started as they are after the build, and nothing else', () => {
  expect(ownFileUrls("fork(new URL('./child.ts', import.meta.url))")).toBe(
    "fork(new URL('./child.js', import.meta.url))",
  )
  const others = ["new URL('./page.ts', base)", "read('./child.ts')", "new URL('https://a.test/b.ts', import.meta.url)"]
  for (const text of others) expect(ownFileUrls(text)).toBe(text)
})
