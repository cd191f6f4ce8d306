import { BINDINGS, type Binding, VARIABLES, type Variable } from '../../config/variables.ts'
import { markersOf } from '../files/markers.ts'

/** Where docs/configuration.md has the table. */
export const CONFIGURATION_MARKERS = markersOf('configuration', 'node scripts/configuration.ts --write')

/** Every variable, secret and binding of the Worker as a table in Markdown, from the schema that the Worker parses with. */
export function configurationTable(): string {
  const entries: [string, Pick<Variable | Binding, 'kind' | 'default' | 'description'>][] = [
    ...Object.entries(VARIABLES),
    ...Object.entries(BINDINGS),
  ]
  const rows = entries.map(([name, { kind, default: value, description }]) => [`\`${name}\``, kind, value, description])
  return [['name', 'kind', 'default', 'description'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}
