/** What Ultralytics writes into its ONNX files: `Exporter.metadata`. YOLOv5 writes `names` and `stride` alone. */
export interface UltralyticsFacts {
  readonly task: string
  readonly names: readonly string[]
  /** [height, width] */
  readonly size: readonly [number, number] | undefined
  /** Points of a pose, and the numbers of each. */
  readonly points: readonly [number, number] | undefined
  /** Of a single class; newer exports write them. */
  readonly pointNames: readonly string[] | undefined
}

/** Longer texts hold no names. */
const MOST_CHARACTERS = 1024 * 1024
const MOST_NAMES = 65_536

/** Undefined where the file is of another tool. */
export function ultralyticsFacts(metadata: ReadonlyMap<string, string>): UltralyticsFacts | undefined {
  const names = namesIn(metadata.get('names') ?? '')
  if (names === undefined || !metadata.has('stride')) return undefined
  return {
    task: metadata.get('task') ?? 'detect',
    names,
    size: pairIn(metadata.get('imgsz')),
    points: pairIn(metadata.get('kpt_shape')),
    pointNames: pointNamesIn(metadata.get('kpt_names') ?? ''),
  }
}

/** Names of classes in Python's notation: `{0: 'person', 1: "child's seat"}` or `['person', 'car']`. */
function namesIn(text: string): string[] | undefined {
  if (text.length > MOST_CHARACTERS) return undefined
  const names: string[] = []
  const entry = /\s*(?:(\d{1,6})\s*:\s*)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(,|[}\]]\s*$)/suy
  entry.lastIndex = 1
  if (!/^[{[]/.test(text)) return undefined
  while (entry.lastIndex < text.length) {
    const [, id, single, double] = entry.exec(text) ?? []
    const name = single ?? double
    if (name === undefined || Number(id ?? names.length) !== names.length || names.length >= MOST_NAMES)
      return undefined
    names.push(name.replace(/\\(.)/gsu, '$1'))
  }
  return names.length === 0 ? undefined : names
}

/** `{0: ['nose', 'left_eye']}`: the points of the first class. */
function pointNamesIn(text: string): string[] | undefined {
  const [, list] = /^\s*\{\s*0\s*:\s*(\[[^[\]]*\])\s*\}\s*$/s.exec(text) ?? []
  return list === undefined ? undefined : namesIn(list)
}

function pairIn(text: string | undefined): readonly [number, number] | undefined {
  const [, first, second] = /^\s*[[(]\s*(\d{1,5})\s*,\s*(\d{1,5})\s*[\])]\s*$/.exec(text ?? '') ?? []
  return first === undefined || second === undefined ? undefined : [Number(first), Number(second)]
}
