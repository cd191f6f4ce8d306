import { ByteTrie, LONGEST_TEXT } from './byte-trie.ts'
import type { TextTable } from './texts.ts'

/** Texts with the same beginning, sorted by insertion where they are few. */
const FEW = 24
const BLOCK = 256
/** Places that are tried for a node's children before they get a block of their own. */
const MOST_TRIES = 128
/** Bases have 23 bits. */
const MOST_UNITS = 2 ** 23

/** The tree before its nodes have places: nodes and edges by number, each node after its parent. */
class Tree {
  /** The text that ends at a node, or, of one without edges, behind it; -1 if none does. */
  readonly values: number[] = []
  readonly firstEdge: number[] = []
  readonly edgeCount: number[] = []
  readonly labels: number[] = []
  readonly children: number[] = []

  addNode(): number {
    this.firstEdge.push(0)
    this.edgeCount.push(0)
    return this.values.push(-1) - 1
  }
}

/** A trie over a table's texts; of equal ones the last counts. @throws Error if there are more than it can hold */
export function buildTrie(texts: TextTable): ByteTrie {
  for (let text = 0; text < texts.count; text++) {
    if (texts.startOf(text + 1) - texts.startOf(text) <= LONGEST_TEXT) continue
    throw new Error(`token ${text} has more than ${LONGEST_TEXT} bytes`)
  }
  const tree = treeOf(texts)
  return new ByteTrie(unitsOf(tree, basesOf(tree)), texts)
}

function treeOf(texts: TextTable): Tree {
  const order = Int32Array.from({ length: texts.count }, (_, i) => i).filter((i) => texts.has(i))
  const sorter = new Sorter(texts, order)
  const tree = new Tree()
  tree.addNode()
  // The texts at each node: a range of `order`, alike in their first `depths` bytes.
  const [lows, highs, depths] = [[0], [order.length], [0]]
  for (let node = 0; node < lows.length; node++) {
    const [low, high, depth] = [lows[node] ?? 0, highs[node] ?? 0, depths[node] ?? 0]
    if (node > 0 && high - low === 1) {
      tree.values[node] = order[low] ?? -1
      continue
    }
    sorter.sort(low, high, depth)
    let start = low
    while (start < high && sorter.keyOf(start, depth) === 0) tree.values[node] = order[start++] ?? -1
    tree.firstEdge[node] = tree.labels.length
    while (start < high) {
      const key = sorter.keyOf(start, depth)
      let end = start + 1
      while (end < high && sorter.keyOf(end, depth) === key) end++
      tree.labels.push(key - 1)
      tree.children.push(tree.addNode())
      lows.push(start)
      highs.push(end)
      depths.push(depth + 1)
      start = end
    }
    tree.edgeCount[node] = tree.labels.length - (tree.firstEdge[node] ?? 0)
  }
  return tree
}

/** Sorts ranges of texts by one byte, and equal ones by their numbers. */
class Sorter {
  readonly #texts: TextTable
  readonly #order: Int32Array
  readonly #spare: Int32Array
  readonly #counts = new Int32Array(BLOCK + 1)

  constructor(texts: TextTable, order: Int32Array) {
    this.#texts = texts
    this.#order = order
    this.#spare = new Int32Array(order.length)
  }

  /** The byte at `depth` plus one; 0 where the text ends. */
  keyOf(place: number, depth: number): number {
    return this.#keyOf(this.#order[place] ?? 0, depth)
  }

  sort(low: number, high: number, depth: number): void {
    if (high - low <= FEW) this.#insert(low, high, depth)
    else this.#count(low, high, depth)
  }

  #keyOf(text: number, depth: number): number {
    const at = this.#texts.startOf(text) + depth
    return at < this.#texts.startOf(text + 1) ? (this.#texts.bytes[at] ?? 0) + 1 : 0
  }

  #insert(low: number, high: number, depth: number): void {
    const order = this.#order
    for (let i = low + 1; i < high; i++) {
      const text = order[i] ?? 0
      const key = this.#keyOf(text, depth)
      let place = i
      while (place > low && this.#keyOf(order[place - 1] ?? 0, depth) > key) {
        order[place] = order[place - 1] ?? 0
        place--
      }
      order[place] = text
    }
  }

  #count(low: number, high: number, depth: number): void {
    const [order, counts, spare] = [this.#order, this.#counts, this.#spare]
    counts.fill(0)
    for (let i = low; i < high; i++) {
      const key = this.keyOf(i, depth)
      counts[key] = (counts[key] ?? 0) + 1
    }
    for (let key = 0, sum = low; key <= BLOCK; key++) {
      const count = counts[key] ?? 0
      counts[key] = sum
      sum += count
    }
    for (let i = low; i < high; i++) {
      const key = this.keyOf(i, depth)
      const place = counts[key] ?? 0
      counts[key] = place + 1
      spare[place] = order[i] ?? 0
    }
    order.set(spare.subarray(low, high), low)
  }
}

/** A base for each node with edges, those with the most first: the rest fits between them. */
function basesOf({ edgeCount, firstEdge, labels }: Tree): Int32Array {
  const bases = new Int32Array(edgeCount.length)
  const byCount: number[][] = []
  for (const [node, count] of edgeCount.entries()) {
    const nodes = byCount[count]
    if (nodes === undefined) byCount[count] = [node]
    else nodes.push(node)
  }
  const room = new Room()
  for (let count = byCount.length - 1; count > 0; count--) {
    room.rewind()
    for (const node of byCount[count] ?? []) {
      const first = firstEdge[node] ?? 0
      bases[node] = room.place(labels, first, first + count)
    }
  }
  return bases
}

/** Which units are free: a list of them through an array that grows by blocks. */
class Room {
  /** The next free unit; 0 after the last. Unit 0 is the root's, and begins the list. */
  #next = new Int32Array(BLOCK)
  /** Two marks for each unit: it is taken, it is a base. */
  #marks = new Uint8Array(BLOCK)
  #size = 0
  #last = 0
  #cursor = 0

  constructor() {
    this.#grow()
    this.#marks[0] = TAKEN | BASE
  }

  rewind(): void {
    this.#cursor = 0
  }

  /** Takes units for some labels; their base. */
  place(labels: readonly number[], from: number, to: number): number {
    const base = this.#search(labels, from, to) ?? this.#grow()
    for (let i = from; i < to; i++) this.#mark(base ^ (labels[i] ?? 0), TAKEN)
    this.#mark(base, BASE)
    return base
  }

  #search(labels: readonly number[], from: number, to: number): number | undefined {
    const label = labels[from] ?? 0
    let before = this.#cursor
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const unit = this.#freeAfter(before)
      if (unit === 0) return undefined
      const base = unit ^ label
      if (base > 0 && !this.#has(base, BASE) && this.#fits(base, labels, from, to)) {
        this.#cursor = before
        return base
      }
      before = unit
    }
    this.#cursor = before
    return undefined
  }

  /** The first free unit of the list after another one; those that were taken meanwhile leave it. */
  #freeAfter(before: number): number {
    let unit = this.#next[before] ?? 0
    while (unit !== 0 && this.#has(unit, TAKEN)) unit = this.#next[unit] ?? 0
    this.#next[before] = unit
    if (unit === 0) this.#last = before
    return unit
  }

  #fits(base: number, labels: readonly number[], from: number, to: number): boolean {
    for (let i = from + 1; i < to; i++) if (this.#has(base ^ (labels[i] ?? 0), TAKEN)) return false
    return true
  }

  /** A block more; a base in it, with all of whose children it is free. */
  #grow(): number {
    const start = this.#size
    this.#size += BLOCK
    if (this.#size > MOST_UNITS) throw new Error('the vocabulary is too large')
    if (this.#size > this.#next.length) {
      const [next, marks] = [new Int32Array(2 * this.#size), new Uint8Array(2 * this.#size)]
      next.set(this.#next)
      marks.set(this.#marks)
      this.#next = next
      this.#marks = marks
    }
    for (let unit = Math.max(1, start); unit < this.#size; unit++) {
      this.#next[this.#last] = unit
      this.#last = unit
    }
    return start
  }

  #has(unit: number, mark: number): boolean {
    return ((this.#marks[unit] ?? 0) & mark) !== 0
  }

  #mark(unit: number, mark: number): void {
    this.#marks[unit] = (this.#marks[unit] ?? 0) | mark
  }
}

const TAKEN = 1
const BASE = 2

function unitsOf({ children, edgeCount, firstEdge, labels, values }: Tree, bases: Int32Array): Int32Array {
  const places = new Int32Array(values.length)
  let most = 0
  for (let node = 0; node < values.length; node++) {
    const first = firstEdge[node] ?? 0
    for (let edge = first; edge < first + (edgeCount[node] ?? 0); edge++) {
      const place = (bases[node] ?? 0) ^ (labels[edge] ?? 0)
      places[children[edge] ?? 0] = place
      if (place > most) most = place
    }
  }
  const units = new Int32Array(2 * (most + 1))
  for (let node = 0; node < values.length; node++) {
    const place = places[node] ?? 0
    units[2 * place] = (units[2 * place] ?? 0) | ((bases[node] ?? 0) << 9)
    units[2 * place + 1] = (values[node] ?? -1) + 1
    const first = firstEdge[node] ?? 0
    for (let edge = first; edge < first + (edgeCount[node] ?? 0); edge++) {
      const child = places[children[edge] ?? 0] ?? 0
      units[2 * child] = 0x100 | (labels[edge] ?? 0)
    }
  }
  return units
}
