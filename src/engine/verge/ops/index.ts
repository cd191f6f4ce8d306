import { ATTENTIONS } from './attention.ts'
import { CONVOLUTIONS } from './convolution.ts'
import { ELEMENTWISE } from './elementwise.ts'
import { GATHER } from './gather.ts'
import { PAGED } from './gather-paged.ts'
import { GRIDS } from './grid.ts'
import { MAKING } from './making.ts'
import { MOVEMENT } from './movement.ts'
import { NORMS } from './norm.ts'
import type { Operator } from './operator.ts'
import { PICTURES } from './picture.ts'
import { PRODUCTS } from './product.ts'
import { ROTARY } from './rotary.ts'

/** Every operator of a plan, in the order of the documents' table. */
export const OPERATORS: readonly Operator[] = [
  ...PRODUCTS,
  ...ATTENTIONS,
  ROTARY,
  ...CONVOLUTIONS,
  ...PICTURES,
  ...NORMS,
  ...ELEMENTWISE,
  ...GRIDS,
  ...MOVEMENT,
  ...MAKING,
  ...GATHER,
  ...PAGED,
]

const BY_NAME: ReadonlyMap<string, Operator> = new Map(OPERATORS.map((operator) => [operator.name, operator]))

export function operatorNamed(name: string): Operator | undefined {
  return BY_NAME.get(name)
}
