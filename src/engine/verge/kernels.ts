/** An address or a number of bytes or elements. */
type N = number

/** Of heads side by side. */
type AttentionArguments = [
  q: N,
  k: N,
  v: N,
  out: N,
  qStride: N,
  kStride: N,
  vStride: N,
  outStride: N,
  queries: N,
  keys: N,
  channels: N,
  scale: N,
  mask: N,
  maskRow: N,
  maskKey: N,
  keep: N,
  scratch: N,
  heads: N,
  maskHead: N,
]

/** What `assembly/index.ts` exports. Kernels check nothing: whoever calls them has checked every size. */
export interface Kernels {
  readonly memory: WebAssembly.Memory
  quantizeRows(x: N, rows: N, depth: N, packed: N, ranges: N): void
  quantizePatches(x: N, depth: N, apart: N, packed: N, ranges: N): void
  productInt8(
    ...args: [
      packed: N,
      ranges: N,
      weight: N,
      scales: N,
      sums: N,
      bias: N,
      out: N,
      rows: N,
      columns: N,
      depth: N,
      rowStride: N,
      columnStride: N,
      tile: N,
      least: N,
      most: N,
      gelu: N,
    ]
  ): void
  packRows(x: N, rows: N, depth: N, stride: N, packed: N, factor: N): void
  packColumns(x: N, depth: N, columns: N, stride: N, packed: N): void
  packColumnsTransposed(x: N, depth: N, columns: N, stride: N, packed: N): void
  productF32(
    ...args: [
      packed: N,
      weight: N,
      bias: N,
      out: N,
      rows: N,
      columns: N,
      depth: N,
      rowStride: N,
      columnStride: N,
      tile: N,
      least: N,
      most: N,
      fast: N,
      half: N,
    ]
  ): void
  attentionScratch(keys: N, channels: N): N
  attentionHeads(...args: AttentionArguments): void
  attentionInt8Scratch(keys: N, channels: N): N
  attentionInt8Heads(...args: AttentionArguments): void
  normRows(x: N, skip: N, gamma: N, beta: N, out: N, sum: N, rows: N, depth: N, epsilon: N, centred: N): void
  softmaxRows(x: N, out: N, rows: N, depth: N, logarithm: N): void
  reduceF32(kind: N, x: N, out: N, outer: N, axis: N, inner: N): void
  reduceI32(kind: N, x: N, out: N, outer: N, axis: N, inner: N): N
  argument(x: N, out: N, outer: N, axis: N, inner: N, least: N): void
  argumentI32(x: N, out: N, outer: N, axis: N, inner: N, least: N): void
  rotateRows(
    ...args: [x: N, cos: N, sin: N, out: N, rows: N, heads: N, channels: N, xStride: N, angleStride: N, second: N]
  ): void
  unaryF32(kind: N, x: N, out: N, count: N, a: N, b: N): void
  unaryI32(kind: N, x: N, out: N, count: N, a: N, b: N): N
  notU8(x: N, out: N, count: N): void
  binary(kind: N, type: N, size: N, a: N, b: N, out: N, ...axes: readonly N[]): N
  select(size: N, condition: N, a: N, b: N, out: N, ...axes: readonly N[]): void
  cast(from: N, to: N, x: N, out: N, count: N): N
  copy(x: N, out: N, size: N, ...axes: readonly N[]): void
  fill32(out: N, count: N, bits: N): void
  fill8(out: N, count: N, value: N): void
  iota(out: N, count: N, start: N, step: N): void
  gather(x: N, ids: N, out: N, outer: N, axis: N, count: N, bytes: N): N
  gatherElements(x: N, ids: N, out: N, outer: N, axis: N, count: N, inner: N, size: N): N
  gatherRows(table: N, scales: N, ids: N, out: N, rows: N, count: N, width: N, byRow: N): N
  gatherBlocks(
    ...args: [table: N, scales: N, zeros: N, ids: N, out: N, rows: N, count: N, width: N, block: N, halves: N]
  ): N
  cumulativeI32(x: N, out: N, outer: N, axis: N, inner: N): N
  packPatches(
    x: N,
    packed: N,
    first: N,
    count: N,
    channels: N,
    height: N,
    width: N,
    outWidth: N,
    ...window: readonly N[]
  ): void
  quantizeStrips(strips: N, count: N, depth: N, strip: N, apart: N, packed: N, ranges: N): void
  gridStrips(strips: N, count: N, depth: N, strip: N, apart: N, packed: N, scale: N, zero: N): void
  productGrid(
    ...args: [
      packed: N,
      scale: N,
      zero: N,
      weight: N,
      scales: N,
      sums: N,
      bias: N,
      out: N,
      rows: N,
      columns: N,
      depth: N,
      rowStride: N,
      columnStride: N,
      tile: N,
      least: N,
      most: N,
      step: N,
    ]
  ): void
  roundTo(x: N, out: N, count: N, step: N, least: N, most: N): void
  depthwise(x: N, weight: N, bias: N, out: N, ...sizes: readonly N[]): void
  depthwiseGrid(x: N, weight: N, bias: N, out: N, ...sizes: readonly N[]): void
  addClamped(x: N, residual: N, out: N, count: N, least: N, most: N): void
  pool(mode: N, x: N, out: N, planes: N, ...sizes: readonly N[]): void
  resize(linear: N, mode: N, rounding: N, x: N, out: N, planes: N, ...sizes: readonly N[]): void
  probeInt8(count: N): N
}

/** A call of a kernel, with the addresses that its operands have in one place of the arena. */
export interface KernelCall {
  readonly kernel: Exclude<keyof Kernels, 'memory'>
  readonly args: readonly N[]
}

/** The first page holds the kernels' own tables. */
export const KERNEL_BYTES = 65_536

/** Instantiates a build of the kernels on `memory`, which it writes only its tables to. */
export function kernelsOn(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels
}
