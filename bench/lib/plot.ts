import { ENGINE_NAMES } from './report.ts'
import type { BenchResult } from './result.ts'
import { WAY_NAMES, WAYS } from './ways.ts'

interface Bar {
  readonly label: string
  /** Stacked one after the other. */
  readonly parts: readonly { readonly value: number; readonly colour: string }[]
}

interface Chart {
  readonly title: string
  readonly legend: readonly { readonly name: string; readonly colour: string }[]
  readonly bars: readonly Bar[]
  readonly unit: string
}

const WIDTH = 900
const LABEL_WIDTH = 330
const VALUE_WIDTH = 90
const ROW = 18
const GAP = 30
const HEAD = 46
/** Told apart by people who do not see red and green, and in grey. */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9'] as const

/** The run's main figures as one picture. */
export function plot(result: BenchResult): string {
  const charts = [warmChart(result.warm), coldChart(result.cold), memoryChart(result.cold)].filter(
    (chart) => chart !== undefined && chart.bars.length > 0,
  ) as Chart[]
  let top = 10
  const pieces = charts.map((chart) => {
    const piece = drawChart(chart, top)
    top += HEAD + chart.bars.length * ROW + GAP
    return piece
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" viewBox="0 0 ${WIDTH} ${top}" font-family="system-ui, sans-serif" font-size="12" fill="#222">`,
    '<title>Warm latency, cold start and memory of the last benchmark run</title>',
    `<rect width="${WIDTH}" height="${top}" fill="#fff"/>`,
    ...pieces,
    '</svg>',
    '',
  ].join('\n')
}

function warmChart(rows: BenchResult['warm']): Chart | undefined {
  if (!rows) return undefined
  const engines = Object.keys(ENGINE_NAMES) as (keyof typeof ENGINE_NAMES)[]
  return {
    title: 'Warm latency, p50',
    legend: engines.map((engine, index) => ({ name: ENGINE_NAMES[engine], colour: colour(index) })),
    unit: 'ms',
    bars: rows.map(({ engine, model, size, time }) => ({
      label: `${model}, ${size}: ${ENGINE_NAMES[engine]}`,
      parts: [{ value: time.p50, colour: colour(engines.indexOf(engine)) }],
    })),
  }
}

function coldChart(rows: BenchResult['cold']): Chart | undefined {
  if (!rows) return undefined
  const parts = ['isolate', 'engine', 'fetchAndSession', 'firstRun'] as const
  const names = ['isolate', 'engine', 'weights and session', 'first run']
  return {
    title: 'Cold start without the process, medians',
    legend: names.map((name, index) => ({ name, colour: colour(index) })),
    unit: 'ms',
    bars: rows.map((row) => ({
      label: `${row.model}: ${WAY_NAMES[row.way]}`,
      parts: parts.map((part, index) => ({ value: row[part].p50, colour: colour(index) })),
    })),
  }
}

function memoryChart(rows: BenchResult['cold']): Chart | undefined {
  if (!rows) return undefined
  return {
    title: 'WebAssembly memory after the first answer',
    legend: WAYS.map((way, index) => ({ name: WAY_NAMES[way], colour: colour(index) })),
    unit: 'MB',
    bars: rows.map(({ heapBytes, model, way }) => ({
      label: `${model}: ${WAY_NAMES[way]}`,
      parts: [{ value: heapBytes / 1e6, colour: colour(WAYS.indexOf(way)) }],
    })),
  }
}

function drawChart({ bars, legend, title, unit }: Chart, top: number): string {
  const sum = ({ parts }: Bar): number => parts.reduce((total, { value }) => total + value, 0)
  const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / Math.max(...bars.map(sum), Number.MIN_VALUE)
  const lines = [`<text x="10" y="${top + 16}" font-size="15" font-weight="600">${escaped(title)} (${unit})</text>`]
  legend.forEach(({ colour, name }, index) => {
    const x = 10 + index * 190
    lines.push(`<rect x="${x}" y="${top + 25}" width="10" height="10" fill="${colour}"/>`)
    lines.push(`<text x="${x + 15}" y="${top + 34}">${escaped(name)}</text>`)
  })
  bars.forEach((bar, index) => {
    const y = top + HEAD + index * ROW
    let x = LABEL_WIDTH
    lines.push(`<text x="${LABEL_WIDTH - 6}" y="${y + 12}" text-anchor="end">${escaped(bar.label)}</text>`)
    for (const { colour, value } of bar.parts) {
      const width = Math.max(0, value * scale)
      lines.push(
        `<rect x="${x.toFixed(1)}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 5}" fill="${colour}"/>`,
      )
      x += width
    }
    lines.push(`<text x="${(x + 5).toFixed(1)}" y="${y + 12}">${sum(bar).toFixed(1)}</text>`)
  })
  return lines.join('\n')
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] as string
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
