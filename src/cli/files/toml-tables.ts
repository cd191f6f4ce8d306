/**
 * A TOML file without tables, and without the comments right above them: for files whose tables end with an empty line.
 * @param names of tables at the top level
 */
export function withoutTables(toml: string, names: readonly string[]): string {
  const blocks = toml.split(/\n{2,}/)
  return blocks.filter((block) => !names.some((name) => block.split('\n').includes(`[${name}]`))).join('\n\n')
}
