import { authorize, type Caller } from '../access/authorize.ts'
import type { Alias } from '../catalog/alias.ts'
import { MODEL_NAME, VERSION_NAME } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { CallContext } from '../core/runtime.ts'
import type { ResolvedModel, Serving } from '../serving/serving.ts'

/** Who asks, through what, on whose time. */
export interface Access {
  readonly serving: Serving
  readonly caller: Caller
  readonly context: CallContext
}

/**
 * A model's alias, if the caller may run it. To a caller who may not, a private model is answered for exactly as one
 * that does not exist.
 * @throws model_not_found, alias_invalid, store_unavailable
 */
export async function visibleModel({ serving, caller, context }: Access, name: string): Promise<Alias> {
  // A name that no model can have never reaches a store.
  const alias = MODEL_NAME.test(name) ? await serving.alias(name, context) : null
  if (alias === null || !authorize(caller, { name: alias.model, visibility: alias.visibility }, 'infer')) {
    throw new VergeError(
      'model_not_found',
      `There is no model "${name.slice(0, 64)}" that you may use. GET /v1/models lists those that there are; private models need a credential.`,
    )
  }
  return alias
}

/** @throws version_not_found, manifest_invalid, weights_unavailable */
export async function resolveVersion(
  { serving, context }: Access,
  alias: Alias,
  version: string | undefined,
): Promise<ResolvedModel> {
  if (version !== undefined && !VERSION_NAME.test(version)) {
    throw new VergeError(
      'version_not_found',
      `Model "${alias.model}" has no version "${version.slice(0, 32)}". GET /v2/models/${alias.model} lists its versions.`,
    )
  }
  return serving.resolve(alias, version, context)
}

/** The aliases of all models that the caller may run, by name. */
export async function visibleModels({ serving, caller, context }: Access): Promise<readonly Alias[]> {
  const aliases = await serving.list(context)
  return aliases
    .filter((alias) => authorize(caller, { name: alias.model, visibility: alias.visibility }, 'infer'))
    .sort((a, b) => (a.model < b.model ? -1 : 1))
}
