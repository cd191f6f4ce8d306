import * as z from 'zod'
import { type ErrorCode, VergeError } from '../core/errors.ts'
import { ALIAS_SCHEMA, type Alias, aliasSchema } from './alias.ts'
import { sortedByUnderstanding } from './aside.ts'
import { inForce } from './canary.ts'
import { MANIFEST_SCHEMA, type Manifest, manifestSchema, understoodSchema } from './manifest.ts'

const schemaField = z.object({ schema: z.number().int().positive() })

/**
 * Reads an alias from its stored bytes. Fields that this Verge does not know are ignored.
 * @throws alias_invalid
 */
export function parseAlias(bytes: Uint8Array, model: string): Alias {
  return checkAlias(aliasJson(bytes, model), model)
}

/** The alias as it counts: a stop of its canary is applied. @throws alias_invalid */
export function checkAlias(value: unknown, model: string): Alias {
  const what = aliasName(model)
  const fix = 'Correct it in the bucket, or delete it there and push the model again.'
  const alias = checked(aliasSchema, value, ALIAS_SCHEMA, 'alias_invalid', what, fix)
  const lost = alias.live.find(({ version }) => !Object.hasOwn(alias.versions, version))
  const fault =
    alias.model !== model
      ? `names the model "${alias.model}"`
      : lost && `lists "${lost.version}" as live, but not among its versions`
  if (fault !== undefined) {
    throw new VergeError('alias_invalid', `${what} ${fault}. ${fix}`, { details: { model } })
  }
  return inForce(alias)
}

/**
 * Reads a manifest from its stored bytes. Fields that this Verge does not know are ignored, and artifacts of a kind that
 * it does not know are left aside: `artifacts` may be empty then.
 * @throws manifest_invalid
 */
export function parseManifest(bytes: Uint8Array, model: string, version: string): Manifest {
  const stored = json(bytes, 'manifest_invalid', manifestName(model, version))
  const { value, aside } = sortedByUnderstanding(stored)
  if (aside.length === 0) return named(manifestSchema, value, model, version)
  return { ...named(understoodSchema, value, model, version), aside }
}

/** Checks a manifest before it is written. @throws manifest_invalid */
export function checkManifest(value: unknown, model: string, version: string): Manifest {
  return named(manifestSchema, value, model, version)
}

function named(schema: z.ZodType<Manifest>, value: unknown, model: string, version: string): Manifest {
  const what = manifestName(model, version)
  const fix = 'Push this version again, or roll back to another.'
  const manifest = checked(schema, value, MANIFEST_SCHEMA, 'manifest_invalid', what, fix)
  if (manifest.model !== model || manifest.version !== version) {
    throw new VergeError(
      'manifest_invalid',
      `${what} is that of model "${manifest.model}", version "${manifest.version}". ${fix}`,
      { details: { model, version } },
    )
  }
  return manifest
}

/** Stored JSON as it is, unknown fields and all. @throws alias_invalid */
export function aliasJson(bytes: Uint8Array, model: string): unknown {
  return json(bytes, 'alias_invalid', aliasName(model))
}

function aliasName(model: string): string {
  return `The alias of model "${model}"`
}

function manifestName(model: string, version: string): string {
  return `The manifest of model "${model}", version "${version}",`
}

function json(bytes: Uint8Array, code: ErrorCode, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch (cause) {
    throw new VergeError(code, `${what} is not JSON. Push the model again.`, { cause })
  }
}

function checked<T>(
  schema: z.ZodType<T>,
  value: unknown,
  newest: number,
  code: ErrorCode,
  what: string,
  fix: string,
): T {
  // first, because this schema cannot judge a manifest of a newer schema
  const field = schemaField.safeParse(value)
  if (field.success && field.data.schema > newest) {
    throw new VergeError(
      code,
      `${what} was written by a newer Verge (schema ${field.data.schema}; this one reads up to ${newest}). ` +
        'Deploy a newer Worker.',
      { details: { schema: field.data.schema } },
    )
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const where = issue?.path.map(String).join('.') || 'the whole'
  // a value that is not in this Verge's list may be in a newer one's
  const newer = issue?.code === 'invalid_value' ? ' If a newer Verge wrote it, deploy a newer Worker.' : ''
  throw new VergeError(code, `${what} is invalid at "${where}": ${issue?.message ?? 'unreadable'}. ${fix}${newer}`, {
    cause: result.error,
  })
}
