/** In the order of `Unary` in `assembly/elementwise.ts`. */
export const UNARY_KINDS = [
  'relu',
  'gelu',
  'gelu-tanh',
  'erf',
  'tanh',
  'sigmoid',
  'silu',
  'exp',
  'log',
  'sqrt',
  'neg',
  'abs',
  'reciprocal',
  'floor',
  'ceil',
  'round',
  'hard-sigmoid',
  'hard-swish',
  'leaky-relu',
  'clip',
  'elu',
  'softplus',
  'sin',
  'cos',
  'sign',
  'mish',
  'quick-gelu',
] as const
export type UnaryKind = (typeof UNARY_KINDS)[number]

export const UNARY_CODE = Object.fromEntries(UNARY_KINDS.map((kind, code) => [kind, code])) as Readonly<
  Record<UnaryKind, number>
>
