/** Licences that anything may have: they ask for a notice, or for nothing. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  '0BSD',
  'AFL-2.1',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
])

/** Licences of tools that are used and not passed on: their terms are about changed files of the tool itself. */
const FOR_DEVELOPMENT: ReadonlySet<string> = new Set(['MPL-2.0'])

/**
 * Whether a package may have a licence.
 * @param expression of SPDX: identifiers, AND, OR, WITH and brackets
 * @param isDevelopment of a package that is not part of what is deployed or published
 */
export function isAllowed(expression: string, isDevelopment: boolean): boolean {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? []
  let at = 0
  const either = (): boolean => {
    let allowed = both()
    while (tokens[at] === 'OR') {
      at++
      const other = both()
      allowed ||= other
    }
    return allowed
  }
  const both = (): boolean => {
    let allowed = one()
    while (tokens[at] === 'AND') {
      at++
      const other = one()
      allowed &&= other
    }
    return allowed
  }
  const one = (): boolean => {
    const token = tokens[at++] ?? ''
    if (token === '(') {
      const allowed = either()
      return tokens[at++] === ')' && allowed
    }
    // An exception gives more rights, never fewer.
    if (tokens[at] === 'WITH') at += 2
    return PERMISSIVE.has(token) || (isDevelopment && FOR_DEVELOPMENT.has(token))
  }
  const allowed = either()
  return allowed && at === tokens.length
}
