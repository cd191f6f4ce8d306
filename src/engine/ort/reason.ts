/**
 * The reason why ONNX Runtime could not run a model, for the sender of the inputs. Its own messages contain C++
 * signatures, source files and internal node names; they belong in the log.
 */

/** A message of ONNX Runtime, with normalized white space, and its replacement. */
const REASONS: readonly (readonly [RegExp, (...found: readonly string[]) => string])[] = [
  [
    /idx=(-?\d+) must be within the inclusive range \[(-?\d+), ?(-?\d+)\]/,
    (index, low, high) => `index ${index} is out of range, which is ${low} to ${high}`,
  ],
  [/invalid index found, index = (-?\d+)/, (index) => `index ${index} is out of range`],
  [
    /broadcast an axis by a dimension other than 1\. (\d+) by (\d+)/,
    (a, b) => `dimensions of ${a} and ${b} do not match`,
  ],
  [
    /Input shape:\{([\d, -]*)\}, requested shape:\{([\d, -]*)\}/,
    (from, to) => `a tensor of shape [${spaced(from)}] cannot be reshaped to [${spaced(to)}]`,
  ],
  [
    /Invalid rank for input: (.{1,200}?) Got: (\d+) Expected: (\d+)/,
    (name, got, expected) => `input "${name}" has rank ${got}, but rank ${expected} is expected`,
  ],
  [
    /invalid dimensions for input: (.{1,200}?) for the following indices index: (\d+) Got: (\d+) Expected: (\d+)/,
    (name, index, got, expected) => `dimension ${index} of input "${name}" is ${got}, but ${expected} is expected`,
  ],
  [
    /Actual: \(tensor\((\w+)\)\) ?, expected: \(tensor\((\w+)\)\)/,
    (got, expected) => `an input has elements of type ${got}, but ${expected} is expected`,
  ],
  [
    /C: (\d+) kernel channels: (\d+) group: (\d+)/,
    (got, channels, groups) => `the input has ${got} channels, but ${Number(channels) * Number(groups)} are expected`,
  ],
  [
    /k argument \[(\d+)\] should not be greater than specified axis dim value \[(\d+)\]/,
    (k, size) => `${k} elements are requested, but there are ${size}`,
  ],
  [/Dimension of input \d+ must be 1 instead of (\d+)/, (got) => `a dimension is ${got} and must be 1`],
  [/[Ii]nteger division by zero/, () => 'a whole number is divided by zero'],
  [/[Dd]imension mismatch/, () => 'the dimensions of its inputs do not match'],
  [/shape\.Size\(\) must be >= 0/, () => 'a dimension would be negative'],
  [/Failed to allocate|failed to allocate|bad_alloc/, () => 'it needs more memory than is available'],
]

/** Innermost last: a loop's body fails inside of the loop. */
const OPERATOR = /while running ([A-Z]\w{0,63}) node/g
/** Made by the optimizer out of the model's own, so that the model's owner would look for them in vain. */
const MADE_BY_OPTIMIZER = /^(?:Fused|Nhwc|Reorder|Memcpy)/

/** @param message as ONNX Runtime gave it, whole */
export function runReason(message: string): string {
  const text = message.slice(0, LONGEST).replace(/\s+/g, ' ')
  const operator = [...text.matchAll(OPERATOR)].at(-1)?.[1]
  const named = operator === undefined || MADE_BY_OPTIMIZER.test(operator) ? undefined : operator
  for (const [pattern, say] of REASONS) {
    const found = pattern.exec(text)
    if (found !== null) return `${say(...found.slice(1))}${named === undefined ? '' : ` (operator ${named})`}.`
  }
  const who = named === undefined ? 'an operator' : `operator ${named}`
  return `${who} rejects its input. Check the shapes and values of the inputs.`
}

const LONGEST = 2_000

function spaced(dimensions: string | undefined): string {
  return (dimensions ?? '').replace(/,\s*/g, ', ')
}
