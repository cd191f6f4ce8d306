import type { Manifest } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import { printable } from '../terminal/format.ts'

/** How a version differs from the one that callers know, a line each. */
export interface Differences {
  /** Requests that the known version answers would be refused, or be answered in another form. */
  readonly breaking: readonly string[]
  /** What callers may notice, and that breaks nothing. */
  readonly harmless: readonly string[]
}

/** The version that callers know, and the one that is to answer some of them. */
export interface Versions {
  readonly known: Manifest
  readonly next: Manifest
}

/** Pure: from the manifests alone. Weights may differ in every way that no manifest tells. */
export function differencesOf(versions: Versions): Differences {
  const breaking: string[] = []
  const harmless: string[] = []
  const { known, next } = versions
  if (known.task !== next.task) {
    breaking.push(
      `task: ${known.task ?? 'none'} in version ${known.version}, ${next.task ?? 'none'} in ${next.version}`,
    )
  }
  // Whoever has texts written sends no tensors, and a larger model has more of them.
  const tensors = known.task === 'text-generation' && next.task === known.task ? harmless : breaking
  tensors.push(...inputDifferences(versions), ...outputDifferences(versions))
  const added = next.outputs.filter(({ name }) => !known.outputs.some((each) => each.name === name))
  harmless.push(...added.map(({ name }) => `output "${printable(name)}" is new`))
  labelDifferences(versions, breaking, harmless)
  for (const differences of SETTINGS) differences(versions, breaking, harmless)
  return { breaking, harmless }
}

function inputDifferences({ known, next }: Versions): string[] {
  const missing = next.inputs.filter(({ name }) => !known.inputs.some((each) => each.name === name))
  return [
    ...known.inputs.flatMap((spec) => {
      const other = next.inputs.find(({ name }) => name === spec.name)
      if (other === undefined) return [`input "${printable(spec.name)}": version ${next.version} does not have it`]
      const takesAll = spec.datatype === other.datatype && takes(other.shape, spec.shape)
      return takesAll ? [] : [differing('input', spec, other, { known, next })]
    }),
    ...missing.map(({ name }) => `input "${printable(name)}": version ${next.version} requires it`),
  ]
}

function outputDifferences({ known, next }: Versions): string[] {
  const more = moreLabels({ known, next })
  return known.outputs.flatMap((spec) => {
    const other = next.outputs.find(({ name }) => name === spec.name)
    if (other === undefined) return [`output "${printable(spec.name)}": version ${next.version} does not have it`]
    const isSame = spec.datatype === other.datatype && isAlike(spec.shape, other.shape, more)
    return isSame ? [] : [differing('output', spec, other, { known, next })]
  })
}

function differing(what: string, one: TensorSpec, other: TensorSpec, { known, next }: Versions): string {
  const name = printable(one.name)
  return `${what} "${name}": ${described(one)} in version ${known.version}, ${described(other)} in ${next.version}`
}

function described({ datatype, shape }: TensorSpec): string {
  return `${datatype ?? 'no tensor'} [${shape.map((size) => printable(String(size))).join(', ')}]`
}

type Shape = TensorSpec['shape']

/** A length that a request or an answer decides: a name, or -1. */
function isOpen(size: number | string | undefined): boolean {
  return typeof size !== 'number' || size < 0
}

/** Whether every tensor of the one shape has the other, too. */
function takes(other: Shape, one: Shape): boolean {
  return other.length === one.length && other.every((size, i) => isOpen(size) || size === one[i])
}

/** Whether tensors may have both shapes. @param more by how much an axis of labels may have grown */
function isAlike(one: Shape, other: Shape, more: number): boolean {
  if (one.length !== other.length) return false
  return one.every((size, i) => {
    const next = other[i]
    return isOpen(size) || isOpen(next) || next === size || (more > 0 && Number(next) - Number(size) === more)
  })
}

/** Labels that were only added, at the end. */
function moreLabels({ known: { labels: before = [] }, next: { labels: after = [] } }: Versions): number {
  return before.length > 0 && before.every((label, i) => label === after[i]) ? after.length - before.length : 0
}

function labelDifferences(versions: Versions, breaking: string[], harmless: string[]): void {
  const { known, next } = versions
  const [before, after] = [known.labels, next.labels]
  if (before === undefined) {
    if (after !== undefined) harmless.push(`labels: ${after.length}, where version ${known.version} has none`)
    return
  }
  const gone = before.filter((label) => !after?.includes(label))
  if (gone.length > 0) {
    breaking.push(`labels: version ${next.version} does not have ${listed(gone)}`)
    return
  }
  const moved = before.findIndex((label, i) => label !== after?.[i])
  if (moved !== -1) {
    const [one, other] = [before[moved] ?? '', after?.[moved] ?? '']
    breaking.push(
      `labels: number ${moved} is "${printable(one)}" in version ${known.version} and "${printable(other)}" in ${next.version}`,
    )
    return
  }
  if (moreLabels(versions) > 0) harmless.push(`labels: ${listed(after?.slice(before.length) ?? [])} are new`)
}

const MOST_LISTED = 3

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_LISTED).map((name) => `"${printable(name)}"`)
  const rest = names.length - shown.length
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}

type Compare = (versions: Versions, breaking: string[], harmless: string[]) => void

/** Settings that decide what a request may be, or what it may ask for. */
const SETTINGS: readonly Compare[] = [
  function texts({ known: { text: one, version: from }, next: { text: other, version: to } }, breaking, harmless) {
    if (one === undefined || other === undefined) return
    if (one.maskToken !== other.maskToken) {
      const named = (token: string | undefined): string => (token === undefined ? 'none' : `"${printable(token)}"`)
      breaking.push(`mask token: ${named(one.maskToken)} in version ${from}, ${named(other.maskToken)} in ${to}`)
    }
    if (one.maxTokens !== other.maxTokens) {
      harmless.push(`texts are cut after ${other.maxTokens} tokens instead of ${one.maxTokens}`)
    }
  },
  function generation({ known, next }, breaking, harmless) {
    const [one, other] = [known.generation, next.generation]
    if (one === undefined || other === undefined) return
    const line = `context: ${one.contextLength} tokens in version ${known.version}, ${other.contextLength} in ${next.version}`
    if (other.contextLength < one.contextLength) breaking.push(line)
    else if (other.contextLength > one.contextLength) harmless.push(line)
    const [before, after] = [known.files?.[CHAT_TEMPLATE_FILE]?.sha256, next.files?.[CHAT_TEMPLATE_FILE]?.sha256]
    if (before !== undefined && after === undefined) {
      breaking.push(`chats: version ${next.version} has no chat template`)
    } else if (before !== after) {
      harmless.push(before === undefined ? 'chats are new' : 'the chat template is another one')
    }
  },
  function embeddings({ known, next }, breaking) {
    const [one, other] = [known.embedding, next.embedding]
    if (one === undefined || other === undefined) return
    const has = (what: string, gone: readonly (string | number)[]): void => {
      if (gone.length > 0) breaking.push(`${what}: version ${next.version} does not have ${listed(gone.map(String))}`)
    }
    has(
      'prompts',
      Object.keys(one.prompts ?? {}).filter((name) => !Object.hasOwn(other.prompts ?? {}, name)),
    )
    const { dimensions } = other
    if (dimensions !== undefined) {
      has(
        'dimensions',
        (one.dimensions ?? []).filter((size) => !dimensions.includes(size)),
      )
    }
    if (one.sparse !== undefined && other.sparse === undefined) has('vectors', ['sparse'])
    if (one.tokens !== undefined && other.tokens === undefined) has('vectors', ['tokens'])
  },
  function tables({ known, next }, breaking, harmless) {
    const [one, other] = [known.tabular?.columns, next.tabular?.columns]
    if (one === undefined || other === undefined) return
    for (const { name, missing } of one) {
      const same = other.find((column) => column.name === name)
      if (same === undefined) breaking.push(`column "${printable(name)}": version ${next.version} does not have it`)
      else if (missing !== undefined && same.missing === undefined) {
        breaking.push(`column "${printable(name)}": version ${next.version} takes no empty cells`)
      }
    }
    for (const { name, missing } of other) {
      if (one.some((column) => column.name === name)) continue
      if (missing === undefined) breaking.push(`column "${printable(name)}": version ${next.version} requires it`)
      else harmless.push(`column "${printable(name)}" is new`)
    }
  },
  function sounds({ known, next }, breaking) {
    if (known.audio?.window !== undefined && next.audio?.window === undefined) {
      breaking.push(`streams: version ${next.version} hears no sounds piece by piece`)
    }
  },
  function points({ known, next }, breaking) {
    const [one, other] = [known.keypoints?.names, next.keypoints?.names]
    if (one === undefined || other === undefined) return
    if (one.join('\n') !== other.join('\n'))
      breaking.push(`points: their names differ from those of version ${known.version}`)
  },
  function downloads({ known, next }, _, harmless) {
    if (known.downloadable === true && next.downloadable !== true) {
      harmless.push(`browsers may not download version ${next.version}: their requests are answered by the Worker`)
    }
  },
]
