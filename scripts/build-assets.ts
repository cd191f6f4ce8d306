/** Builds what Workers Assets serve, part by part, where the sources of a part have changed. */
import { buildAssets } from './assets/parts.ts'

for (const name of await buildAssets()) console.log(`Built the ${name} for Workers Assets.`)
