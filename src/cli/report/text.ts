import { safeName } from '../../onnx/errors.ts'
import type { Measured } from '../measure/measure.ts'
import { printableLines } from '../terminal/format.ts'
import { describeLocated } from '../verify/locate.ts'
import type { ArtifactVerification } from '../verify/verify.ts'
import {
  cosineText,
  decibelsText,
  decimalSize,
  milliseconds,
  percent,
  shortened,
  significant,
  tally,
  worstFirst,
} from './format.ts'
import { COPIED, isCompared, type Report, ratios, unexercisedOf } from './report.ts'

/** Columns that a line takes at the most. */
const WIDTH = 100
/** Layers that are named one by one; the HTML report has all. */
const LAYERS_SHOWN = 8
const REASONS_SHOWN = 6

/** The report for a terminal, without colours. */
export function renderText(report: Report): string {
  const sections = [
    heading(report),
    choices(report),
    sizes(report),
    layers(report),
    verification(report),
    accuracy(report),
    measured(report),
    notes(report),
  ]
  const text = sections
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n')
  // Messages may carry names of the model's; a terminal obeys control characters.
  return `${printableLines(text)}\n`
}

const STATES = { agrees: 'verified', differs: 'VERIFICATION FAILED', none: 'NOT PROVEN' } as const

function heading({ measured, model, source, verification, version }: Report): string[] {
  const state = verification === null ? 'not verified' : STATES[verification.verdict]
  const fit = measured === null ? '' : `, ${measured.verdict.fit}`
  return [
    ...wrapped(`${safeName(model)} ${safeName(version)}: ${state}${fit}`, ''),
    ...wrapped(`from ${safeName(source)}`, '  '),
  ]
}

function choices({ choices, options }: Report): string[] {
  const asked = Object.entries(options).map(([name, value]) => `--${name} ${safeName(String(value))}`)
  const lines = [
    ...(asked.length > 0 ? wrapped(`options: ${asked.join(' ')}`, '  ') : []),
    ...choices.flatMap(({ what, why }) => wrapped(`${what}: ${why}`, '  ')),
  ]
  return lines.length === 0 ? [] : ['Chosen', ...lines]
}

function sizes(report: Report): string[] {
  const { artifacts, original, originalOrt } = report
  const originals = [original, ...(originalOrt === null ? [] : [originalOrt])]
  const rows = [...originals, ...artifacts].map((artifact, index) => {
    const { dtype, format, id, sizes } = artifact
    const c = ratios(artifact, report)
    const isOriginal = index < originals.length
    const share = (value: number): string => (isOriginal ? '' : percent(value))
    return [
      isOriginal ? `original (${dtype}, ${format})` : `${id} (${format})`,
      decimalSize(sizes.bytes),
      share(c.bytes),
      decimalSize(sizes.gzip),
      share(c.gzip),
      decimalSize(sizes.brotli),
      share(c.brotli),
    ]
  })
  return [
    'Sizes, and C = S_compressed / S_original in the same format',
    ...table(['', 'on disk', 'C', 'gzip', 'C', 'brotli', 'C'], rows),
  ]
}

function layers({ layers, passes, skipped }: Report): string[] {
  if (layers.length === 0 && passes.length === 0 && skipped.length === 0) return []
  const lines = ['Layers']
  const done = tally(layers.map(({ to }) => to)).map(([to, count]) => `${count} to ${to}`)
  if (done.length > 0) lines.push(...wrapped(`quantized: ${done.join(', ')}`, '  '))
  if (passes.length > 0) {
    lines.push(...wrapped(`passes: ${passes.map(({ changes, pass }) => `${pass} ${changes}`).join(', ')}`, '  '))
  }
  const worst = worstFirst(layers).slice(0, LAYERS_SHOWN)
  if (worst.length > 0) {
    const rows = worst.map(({ bytesAfter, bytesBefore, node, op, sqnrDb, to, weight }) => [
      shortened(node || weight, 44),
      op,
      to,
      `${decimalSize(bytesBefore)} > ${decimalSize(bytesAfter)}`,
      decibelsText(sqnrDb),
    ])
    const rest = layers.length - worst.length
    lines.push(
      ...table(
        [`layers with the largest loss${rest > 0 ? ` of ${layers.length}` : ''}`, 'op', 'to', 'bytes', 'SQNR'],
        rows,
      ),
    )
  }
  const reasons = tally(skipped.map(({ reason }) => reason))
  for (const [reason, count] of reasons.slice(0, REASONS_SHOWN)) {
    const of = skipped.filter((layer) => layer.reason === reason).map(({ node, op }) => shortened(node || op, 40))
    const names = `${of.slice(0, 3).join(', ')}${of.length > 3 ? ', ...' : ''}`
    lines.push(...wrapped(`not quantized, ${count}: ${safeName(reason)} (${names})`, '  '))
  }
  if (reasons.length > REASONS_SHOWN) lines.push(`  and ${reasons.length - REASONS_SHOWN} more reasons`)
  return lines
}

function verification({ located, trimming, verification }: Report): string[] {
  if (verification === null) return []
  const { artifacts, samples, synthetic } = verification
  const lines = [
    `Agreement with the ${trimming === null ? 'original' : 'trimmed model'}, ${samples} ${synthetic ? 'generated ' : ''}sample${samples === 1 ? '' : 's'}`,
  ]
  const rows = artifacts.flatMap((entry) =>
    entry.outputs
      .filter(isCompared)
      .map(({ cosine: value, elements, equal, maxAbs, output, relative, top1 }) => [
        `${entry.artifact}, ${entry.place === 'edge' ? 'workerd' : 'native'}`,
        shortened(output, 24),
        cosineText(value),
        significant(maxAbs),
        relative === null ? '-' : percent(relative, 2),
        top1
          ? percent(top1.same / top1.rows)
          : equal === null
            ? '-'
            : `${percent(equal / Math.max(1, elements))} equal`,
      ]),
  )
  if (rows.length > 0) lines.push(...table(['artifact', 'output', 'cosine', 'max abs', 'error', 'top-1'], rows))
  for (const entry of artifacts)
    lines.push(...failuresOf(entry), ...unexercisedOf(entry).flatMap((line) => wrapped(line, '  ')))
  // A failure may say so already.
  const where = located === null ? '' : describeLocated(located)
  const said = artifacts.some(({ failures }) => failures.includes(where))
  if (where !== '' && !said) lines.push(...wrapped(where, '  '))
  return lines
}

function failuresOf({ artifact, failures }: ArtifactVerification): string[] {
  return failures.flatMap((failure) => wrapped(`FAILED ${artifact}: ${failure}`, '  '))
}

function accuracy({ accuracy }: Report): string[] {
  if (accuracy === null) return []
  const { baseline, copied, metric, samples, value } = accuracy
  const points = (value - baseline) * 100
  return [
    copied ? `Accuracy, ${COPIED}` : 'Accuracy',
    `  ${safeName(metric)}: ${percent(value, 2)}, original ${percent(baseline, 2)} (${points < 0 ? '' : '+'}${points.toFixed(2)} points), ${samples} samples`,
  ]
}

function measured({ measured, measuredOriginal }: Report): string[] {
  if (measured === null) return []
  const lines = ['In a Worker (workerd on this machine)']
  const columns: (readonly [string, Measured])[] = [['', measured]]
  if (measuredOriginal?.measurements) columns.push(['original', measuredOriginal])
  const rows = columns.flatMap(([label, { measurements }]) =>
    measurements === null
      ? []
      : [
          [
            label || measurements.artifact,
            milliseconds(measurements.coldMs),
            milliseconds(measurements.warm.p50),
            milliseconds(measurements.warm.p95),
            milliseconds(measurements.cpuMs),
            decimalSize(measurements.heapBytes),
          ],
        ],
  )
  if (rows.length > 0) lines.push(...table(['', 'first answer', 'p50', 'p95', 'CPU', 'wasm memory'], rows))
  if (measured.measurements) {
    const { cost, roundTripMs } = measured.measurements
    const { base, perElement } = cost.cost
    lines.push(
      ...wrapped(`of each answer, ${milliseconds(roundTripMs)} are the network round trip`, '  '),
      ...wrapped(
        `a run costs ${significant(base)} units and ${significant(perElement)} for each element of its input (a unit: a million multiply-adds; ${cost.unitMicroseconds} µs here)`,
        '  ',
      ),
    )
  }
  lines.push(...wrapped(`${measured.verdict.fit}: ${measured.verdict.reason}`, '  '))
  return lines
}

function notes({ notes }: Report): string[] {
  return notes.length === 0 ? [] : ['Notes', ...notes.flatMap((note) => wrapped(note, '  '))]
}

/** Columns side by side, the first to the left and figures to the right; the widest text column gives way. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  for (let over = widths.reduce((sum, width) => sum + width + 2, -WIDTH); over > 0; ) {
    const widest = widths.indexOf(Math.max(...widths))
    const next = Math.max(...widths.filter((_, column) => column !== widest))
    const less = Math.min(over, Math.max(1, (widths[widest] ?? 0) - next))
    widths[widest] = (widths[widest] ?? 0) - less
    over -= less
  }
  const isText = (column: number): boolean => rows.every((row) => !/^[\d.+-]/.test(row[column] ?? ''))
  return all.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        const text = cell.length > width ? `${cell.slice(0, width - 1)}…` : cell
        return column === 0 || isText(column) ? text.padEnd(width) : text.padStart(width)
      })
      .reduce((line, cell) => `${line}  ${cell}`, '')
      .trimEnd(),
  )
}

/** Breaks text at spaces; a word that is too long for a line is cut. */
function wrapped(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    const between = line.trim() === '' ? '' : ' '
    if (line.length + between.length + word.length <= WIDTH) {
      line += between + word
      continue
    }
    if (line.trim() !== '') lines.push(line)
    line = `${indent}  ${word}`.slice(0, WIDTH)
  }
  if (line.trim() !== '') lines.push(line)
  return lines
}
