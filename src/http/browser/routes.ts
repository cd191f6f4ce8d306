import { Hono } from 'hono'
import { artifactsForBrowsers, downloadableModel } from '../../inference/browser.ts'
import { type BrowserPlan, browserManifestSchema } from '../../protocols/browser/wire.ts'
import type { ResolvedModel } from '../../serving/serving.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { accessOf } from '../inference.ts'

/** What a browser needs to know of a version before it downloads it, under /browser/{model}. */
export function browserRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/:model', async (c) => {
    const model = await downloadableModel(accessOf(deps, c), c.req.param('model'), c.req.query('version'))
    return c.json(planOf(model))
  })
  return app
}

function planOf({ manifest, digest }: ResolvedModel): BrowserPlan {
  const { model, version, files = {} } = manifest
  const artifacts = artifactsForBrowsers(manifest)
  return { model, version, digest, manifest: browserManifestSchema.parse(manifest), artifacts, files }
}
