/** Builds the playground into the folder that Workers Assets serve, unless it is there. */
import { join } from 'node:path'
import { buildPart } from './assets/part.ts'
import { PAGE_PART } from './page/part.ts'

const root = join(import.meta.dirname, '..')
const built = await buildPart(PAGE_PART, root, join(root, '.verge/assets'))
console.log(built ? 'Built the page.' : 'The page is up to date.')
