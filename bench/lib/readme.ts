/**
 * Replaces what stands between the markers of a run. @throws Error if they are not both there, in order
 * @param what was run
 * @param file that it is, for the message
 */
export function withLastRun(readme: string, text: string, what = 'last run', file = 'bench/README.md'): string {
  const [first, last] = [`<!-- ${what}: begin -->`, `<!-- ${what}: end -->`]
  const begin = readme.indexOf(first)
  const end = readme.indexOf(last)
  if (begin < 0 || end < begin) throw new Error(`${file} must have the lines ${first} and ${last}`)
  return `${readme.slice(0, begin + first.length)}\n\n${text}\n\n${readme.slice(end)}`
}
