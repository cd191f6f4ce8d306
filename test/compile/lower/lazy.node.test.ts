import { expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { type AttributeValue, type NodeSpec, onnxModel } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { loadModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'
import { type Random, randomFrom } from '../../fixtures/onnx-proto.ts'

const signal = never()

type Kind = 'INT64' | 'FP32' | 'BOOL'
type Size = 'batch' | 'sequence' | number

interface Value {
  readonly name: string
  readonly kind: Kind
  readonly shape: readonly Size[]
}

const TYPES = { INT64: 7, FP32: 1, BOOL: 9 } as const
const ARITHMETIC = { INT64: ['Add', 'Sub', 'Max', 'Min'], FP32: ['Add', 'Sub', 'Mul'], BOOL: ['And', 'Or'] } as const
const COMPARISONS = ['GreaterOrEqual', 'Less', 'LessOrEqual', 'Greater', 'Equal'] as const

/** Graphs of what is counted, repeated, compared and chosen, as masks are made of it. */
class MaskGraph {
  readonly nodes: NodeSpec[] = []
  readonly initializers: Record<string, Tensor> = {}
  readonly values: Value[] = [
    { name: 'mask', kind: 'INT64', shape: ['batch', 'sequence'] },
    { name: 'x', kind: 'FP32', shape: ['batch', 'sequence'] },
  ]
  readonly #random: Random
  #count = 0

  constructor(random: Random) {
    this.#random = random
    for (const [axis, size] of (['batch', 'sequence'] as const).entries()) {
      this.#raw('Gather', [this.#raw('Shape', ['mask']), this.#whole([axis], [])], { axis: { int: 0 } }, size)
      this.#add('Range', [this.#whole([0], []), size, this.#whole([1], [])], 'INT64', [size])
    }
  }

  grow(): void {
    const value = this.#one(this.values)
    const other = this.#one(this.values.filter(({ kind }) => kind === value.kind))
    const axis = this.#random(Math.max(1, value.shape.length))
    const { name, kind, shape } = value
    const both = broadcast(shape, other.shape)
    const steps: readonly (() => void)[] = [
      () => shape.length < 4 && this.#add('Unsqueeze', [name, this.#whole([axis])], kind, shape.toSpliced(axis, 0, 1)),
      () => shape[axis] === 1 && this.#add('Squeeze', [name, this.#whole([axis])], kind, shape.toSpliced(axis, 1)),
      () => this.#expand(value),
      () => both && this.#add(this.#one(ARITHMETIC[kind]), [name, other.name], kind, both),
      () => both && this.#add(this.#one(ARITHMETIC[kind]), [name, other.name], kind, both),
      () => both && kind !== 'BOOL' && this.#add(this.#one(COMPARISONS), [name, other.name], 'BOOL', both),
      () =>
        kind === 'INT64' &&
        this.#add(this.#one(COMPARISONS), [name, this.#whole([this.#random(3) - 1], [])], 'BOOL', shape),
      () => this.#where(value, other),
      () => this.#cast(value),
      () => this.#turn(value),
      () =>
        kind !== 'BOOL' &&
        shape.length > 0 &&
        this.#add('ReduceSum', [name, this.#whole([axis])], kind, shape.with(axis, 1)),
      () => this.#tile(value),
    ]
    this.#one(steps)()
  }

  #one<Item>(items: readonly Item[]): Item {
    return items[this.#random(items.length)] as Item
  }

  #whole(values: readonly number[], shape: readonly number[] = [values.length]): string {
    const name = `constant ${this.#count++}`
    this.initializers[name] = tensor('INT64', shape, BigInt64Array.from(values, BigInt))
    return name
  }

  #raw(op: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, output = ''): string {
    const name = output === '' ? `value ${this.#count++}` : output
    this.nodes.push({ op, inputs, outputs: [name], attributes })
    return name
  }

  #add(op: string, inputs: readonly string[], kind: Kind, shape: readonly Size[], attributes = {}): void {
    if (shape.length <= 4) this.values.push({ name: this.#raw(op, inputs, attributes), kind, shape })
  }

  #expand({ name, kind, shape }: Value): void {
    const wide = shape.map((size) => (size === 1 ? this.#one<Size>(['batch', 'sequence', 1, 2]) : size))
    const target = this.#random(2) === 0 && shape.length < 3 ? [this.#one<Size>(['batch', 2]), ...wide] : wide
    if (target.length === 0) return
    const sizes = target.map((size) =>
      typeof size === 'number' ? this.#whole([size]) : this.#raw('Unsqueeze', [size, this.#whole([0])]),
    )
    this.#add('Expand', [name, this.#raw('Concat', sizes, { axis: { int: 0 } })], kind, target)
  }

  #where(value: Value, other: Value): void {
    const conditions = this.values.filter(({ kind }) => kind === 'BOOL')
    if (conditions.length === 0 || value.kind === 'BOOL') return
    const condition = this.#one(conditions)
    const shape = broadcast(broadcast(condition.shape, value.shape) ?? [], other.shape)
    const fits = broadcast(condition.shape, value.shape) !== undefined && shape !== undefined
    if (fits) this.#add('Where', [condition.name, value.name, other.name], value.kind, shape)
  }

  #cast({ name, shape }: Value): void {
    const kind = this.#one<Kind>(['INT64', 'FP32', 'BOOL'])
    this.#add('Cast', [name], kind, shape, { to: { int: TYPES[kind] } })
  }

  #turn({ name, kind, shape }: Value): void {
    const axes = shape.map((_, axis) => axis)
    const perm = shape.map(() => axes.splice(this.#random(axes.length), 1)[0] ?? 0)
    if (shape.length < 2) return
    const turned = perm.map((axis) => shape[axis] as Size)
    this.#add('Transpose', [name], kind, turned, { perm: { ints: perm } })
  }

  #tile({ name, kind, shape }: Value): void {
    const counts = shape.map((size) => (size === 1 ? 1 + this.#random(3) : 1))
    if (shape.length === 0) return
    const wide = shape.map((size, axis) => (size === 1 ? (counts[axis] as number) : size))
    this.#add('Tile', [name, this.#whole(counts)], kind, wide)
  }
}

function broadcast(left: readonly Size[], right: readonly Size[]): Size[] | undefined {
  const rank = Math.max(left.length, right.length)
  const shape = Array.from({ length: rank }, (_, axis): Size | undefined => {
    const [a = 1, b = 1] = [left[axis - rank + left.length], right[axis - rank + right.length]]
    if (a === b || b === 1) return a
    return a === 1 ? b : undefined
  })
  return shape.includes(undefined) ? undefined : (shape as Size[])
}

function inputsOf(batch: number, length: number): Tensors {
  const cells = Array.from({ length: batch * length }, (_, index) => index)
  return new Map([
    [
      'mask',
      tensor(
        'INT64',
        [batch, length],
        BigInt64Array.from(cells, (index) => BigInt(((index * 7) % 5) - 1)),
      ),
    ],
    [
      'x',
      tensor(
        'FP32',
        [batch, length],
        Float32Array.from(cells, (index) => ((index * 13) % 7) / 4 - 0.5),
      ),
    ],
  ])
}

it('answers as ONNX Runtime does where values are counted, repeated and chosen, and declines none', async () => {
  const random = randomFrom(20_261_130)
  const engine = vergeEngine()
  for (let round = 0; round < 150; round++) {
    const graph = new MaskGraph(random)
    for (let step = 0; step < 14; step++) graph.grow()
    const outputs = graph.values.slice(2).slice(-3)
    const bytes = onnxModel({
      inputs: graph.values.slice(0, 2).map(({ name, kind, shape }) => ({ name, datatype: kind, shape: [...shape] })),
      outputs: outputs.map(({ name, kind, shape }) => ({ name, datatype: kind, shape: [...shape] })),
      nodes: graph.nodes,
      initializers: graph.initializers,
      opset: 17,
    })
    const result = await compileModel(decodeModel(bytes), { signal })
    if (!result.ok) throw new Error(`round ${round}: ${result.operator}: ${result.reason}`)
    const reference = await loadModel(decodeModel(bytes))
    const own = await loadVerge(engine, result.bytes)
    for (const [batch, length] of [
      [1, 1],
      [1, 3],
      [3, 4],
      [2, 1],
    ] as const) {
      const inputs = inputsOf(batch, length)
      const expected = await reference.run(inputs, { signal })
      const actual = await own.run(inputs, { signal })
      for (const [name, { data, shape }] of expected) {
        const other = actual.get(name) as Tensor
        expect(other.shape, `round ${round}, ${batch} x ${length}`).toEqual(shape)
        const [a, b] = [data, other.data].map((values) => Array.from(values as ArrayLike<unknown>, Number))
        for (const [index, value] of (a ?? []).entries())
          expect(Math.abs(value - (b?.[index] ?? Number.NaN)), `round ${round}`).toBeLessThanOrEqual(
            1e-4 * Math.max(1, Math.abs(value)),
          )
      }
    }
    own.dispose()
    reference.dispose()
  }
})
