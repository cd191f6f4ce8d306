const BEGIN = '<!-- last run: begin -->'
const END = '<!-- last run: end -->'

/** Replaces what stands between the markers. @throws Error if they are not both there, in order */
export function withLastRun(readme: string, text: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`bench/README.md must have the lines ${BEGIN} and ${END}`)
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${readme.slice(end)}`
}
