/** Builds what runs in a visitor's browser into the folder that Workers Assets serve, unless it is there. */
import { join } from 'node:path'
import { buildPart } from './assets/part.ts'
import { BROWSER_PART } from './browser/part.ts'

const root = join(import.meta.dirname, '..')
const built = await buildPart(BROWSER_PART, root, join(root, '.verge/assets'))
console.log(built ? 'Built the scripts for browsers.' : 'The scripts for browsers are up to date.')
