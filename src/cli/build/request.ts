import type { Tensor, Tensors } from '../../core/tensors.ts'

/** Elements that a request in JSON may have; more travel as binary tensors. */
const MOST_ELEMENTS = 200_000

/** Digits of a float that matter to an example. */
const DIGITS = 5

/**
 * A request of the Open Inference Protocol in JSON, as an example of what a model takes.
 * @returns undefined if JSON cannot represent it: too many elements, half floats, integers beyond 2^53
 */
export function exampleRequest(tensors: Tensors): string | undefined {
  if ([...tensors.values()].reduce((sum, { data }) => sum + data.length, 0) > MOST_ELEMENTS) return undefined
  const inputs: object[] = []
  for (const [name, value] of tensors) {
    const data = jsonData(value)
    if (data === undefined) return undefined
    inputs.push({ name, datatype: value.datatype, shape: value.shape, data })
  }
  return JSON.stringify({ inputs })
}

function jsonData({ datatype, data }: Tensor): (number | string | boolean)[] | undefined {
  if (datatype === 'FP16') return undefined
  const elements = [...(data as Iterable<number | bigint | string>)].map((element) => {
    if (datatype === 'BOOL') return Boolean(element)
    if (typeof element === 'bigint') return Number(element)
    if (typeof element === 'number' && datatype.startsWith('FP')) return Number(element.toPrecision(DIGITS))
    return element
  })
  const exact = (element: number | string | boolean): boolean =>
    typeof element !== 'number' ||
    (datatype.startsWith('FP') ? Number.isFinite(element) : Number.isSafeInteger(element))
  return elements.every(exact) ? elements : undefined
}
