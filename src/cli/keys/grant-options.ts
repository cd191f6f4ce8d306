import * as z from 'zod'
import { GRANTED_ACTIONS, GRANTED_PLACES, type Grant, grantSchema } from '../../access/grant.ts'
import { isVergeError } from '../../core/errors.ts'
import { validate } from '../../core/validation.ts'
import { closest } from '../terminal/closest.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { list, type OptionValues, text } from '../terminal/values.ts'
import { LIMIT_OPTIONS, limitFields, NONE } from './limit-options.ts'

/** What a key may do, for `verge keys create` and `update`. */
export const GRANT_OPTIONS = {
  models: {
    type: 'string',
    multiple: true,
    value: 'NAMES',
    help: 'models that it may use: digits, "minilm-*" for all that begin so, "*" for all; separated by commas',
  },
  actions: {
    type: 'string',
    multiple: true,
    value: 'NAMES',
    choices: GRANTED_ACTIONS,
    help: [
      `what it may do: ${GRANTED_ACTIONS.join(', ')} (default: infer,browser).`,
      'unreleased: versions that are not live; browser: download downloadable models; mint: tokens for pages',
    ],
  },
  places: {
    type: 'string',
    multiple: true,
    value: 'NAMES',
    choices: GRANTED_PLACES,
    help: `where its requests may run: ${GRANTED_PLACES.join(', ')} (default: all)`,
  },
  origins: {
    type: 'string',
    multiple: true,
    value: 'URLS',
    help: 'only pages of these origins may use it: https://example.com',
  },
  ...LIMIT_OPTIONS,
} as const satisfies Options

/**
 * The grant that the options describe, over an earlier one; null where they say nothing.
 * @throws UsageError that names the option
 */
export function grantFrom(values: OptionValues, old: Grant | undefined): Grant | null {
  const limits = limitFields(values)
  const plan = text(values, 'plan')
  const given = {
    ...listField(values, 'models'),
    ...listField(values, 'actions', GRANTED_ACTIONS),
    ...listField(values, 'places', GRANTED_PLACES),
    ...originsField(values),
    ...(plan !== undefined && { plan: plan === NONE ? null : plan }),
  }
  if (Object.keys(given).length === 0 && Object.keys(limits).length === 0) return null
  const { limits: oldLimits, ...rest } =
    old === undefined ? {} : (z.encode(grantSchema, old) as Record<string, unknown>)
  const nextLimits = withoutNulls({ ...(oldLimits as object | undefined), ...limits })
  const next = withoutNulls({
    ...rest,
    ...given,
    limits: Object.keys(nextLimits).length > 0 ? nextLimits : null,
  })
  try {
    return validate(grantSchema, next, 'The grant')
  } catch (error) {
    if (!isVergeError(error)) throw error
    throw new UsageError(
      `${optionOf(String(error.details?.field ?? ''))}${error.message.replace(/^The grant, field "[^"]*": /, '')}`,
    )
  }
}

/** Which option a field of the grant comes from. */
function optionOf(field: string): string {
  const [name = '', inner = ''] = field.split(/[.[]/)
  const names: Readonly<Record<string, string>> = { budgets: 'budget', bodyBytes: 'body', maxTokens: 'max-tokens' }
  const option = name === 'limits' ? (names[inner] ?? inner) : name
  return Object.hasOwn(GRANT_OPTIONS, option) ? `--${option}: ` : ''
}

function listField(values: OptionValues, name: string, known?: readonly string[]): Record<string, string[]> {
  const given = list(values, name).flatMap((each) => each.split(',').map((item) => item.trim()))
  if (given.length === 0) return {}
  const all = [...new Set(given.filter((item) => item !== ''))]
  if (all.length === 0) throw new UsageError(`--${name} is empty. Give it a value, or leave it out.`)
  const unknown = known && all.find((item) => !known.includes(item))
  if (known === undefined || unknown === undefined) return { [name]: all }
  const meant = closest(unknown, known)
  const question = meant === undefined ? '' : ` Did you mean "${meant}"?`
  throw new UsageError(`--${name} takes ${known.join(', ')}, not "${unknown}".${question}`)
}

/** As browsers write them in `Origin`: a page's address is cut to that. */
function originsField(values: OptionValues): { readonly origins?: string[] | null } {
  const { origins } = listField(values, 'origins')
  if (origins === undefined) return {}
  if (origins.length === 1 && origins[0] === NONE) return { origins: null }
  return {
    origins: origins.map((each) => {
      const url = URL.canParse(each) ? new URL(each) : undefined
      if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search + url.hash === '') {
        return url.origin
      }
      if (url !== undefined && !/^https?:$/.test(url.protocol)) return each
      throw new UsageError(`--origins takes origins like "https://example.com", without a path; "${each}" is not one.`)
    }),
  }
}

function withoutNulls(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}
