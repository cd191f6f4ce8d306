import { OPERATORS } from '../../engine/verge/ops/index.ts'
import type { AttributeRule, OperandRule } from '../../engine/verge/ops/operator.ts'
import { markersOf } from '../files/markers.ts'

/** Where docs/engine.md has the table. */
export const ENGINE_MARKERS = markersOf('operators', 'node scripts/engine.ts --write')

/** Every operator of a plan of Verge's own engine, as a table in Markdown, from the rules that plans are checked by. */
export function operatorTable(): string {
  const rows = OPERATORS.map(({ name, what, inputs, variadic, attributes = {} }) => {
    const operands = inputs.map(operandCell).join('<br>') + (variadic ? '<br>...' : '')
    const settings = Object.entries(attributes).map(([key, rule]) => attributeCell(key, rule))
    return [`\`${name}\``, what, operands, settings.join('<br>')]
  })
  return [['operator', 'what it computes', 'operands', 'attributes'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function operandCell({ name, types, layouts, constant, optional }: OperandRule): string {
  const kinds = [types.join(', '), ...(layouts ?? []).map((layout) => `as \`${layout}\``)]
  return `${name}: ${[...kinds, ...(constant ? ['constant'] : []), ...(optional ? ['optional'] : [])].join('; ')}`
}

function attributeCell(name: string, rule: AttributeRule): string {
  const kind = rule.type === 'choice' ? rule.of.join(', ') : rule.type
  const otherwise = 'otherwise' in rule && rule.otherwise !== undefined ? ` (${JSON.stringify(rule.otherwise)})` : ''
  return `${name}: ${kind}${otherwise}`
}
