import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ENGINE_MARKERS, operatorTable } from '../../../src/cli/engine/table.ts'
import { betweenMarkers } from '../../../src/cli/files/markers.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

it('the table of operators is the one in docs/engine.md', async () => {
  const page = await readFile(join(ROOT, 'docs/engine.md'), 'utf8')
  const fresh = betweenMarkers(page, ENGINE_MARKERS, operatorTable())
  expect(fresh, 'bring it up to date: node scripts/engine.ts --write').toBe(page)
})
