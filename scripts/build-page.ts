/** Builds the playground into the folder that Workers Assets serve, unless it is there. */
import { buildAssets } from './assets/parts.ts'

const [built] = await buildAssets(['page'])
console.log(built === undefined ? 'The page is up to date.' : 'Built the page.')
