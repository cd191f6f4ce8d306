/**
 * The engines that `/healthz` names, each with its version.
 * @param engine one name, or several with commas between them
 * @param version theirs, in the same order
 */
export function engineNames(engine: string, version: string): string {
  const versions = version.split(', ')
  const names = engine.split(', ').map((name, i) => `${name} ${versions[i] ?? ''}`)
  return names.map((name) => name.trimEnd()).join(', ')
}
