import { html } from 'hono/html'

/** HTML in which everything that was put in is escaped: a model's author chooses names. */
export type Markup = ReturnType<typeof html>

/** A bar of a chart. */
export interface Bar {
  readonly label: string
  /** Length; not drawn where it is not finite. */
  readonly value: number
  /** The value as it is written beside the bar. */
  readonly text: string
  /** Which of the page's colours: 1 to 4. */
  readonly series: 1 | 2 | 3 | 4
}

export interface Chart {
  readonly title: string
  readonly bars: readonly Bar[]
  /** Series by name, where there is more than one. */
  readonly legend?: readonly { readonly name: string; readonly series: Bar['series'] }[]
  /** Value of the full width; default: the longest bar. */
  readonly full?: number
}

const WIDTH = 860
const LABEL = 290
const VALUE = 130
const ROW = 20
/** Characters that fit into the space for labels. */
const LABEL_LENGTH = 44

/** Horizontal bars, with their values beside them. Colours come from the page. */
export function barChart({ bars, full, legend = [], title }: Chart): Markup {
  const top = legend.length > 0 ? 26 : 4
  const height = top + bars.length * ROW + 6
  const finite = bars.map(({ value }) => value).filter(Number.isFinite)
  const scale = (WIDTH - LABEL - VALUE) / Math.max(full ?? Math.max(0, ...finite), Number.MIN_VALUE)
  const rows = bars.map(({ label, series, text, value }, index) => {
    const y = top + index * ROW
    const width = Number.isFinite(value) ? Math.max(1, Math.min(value * scale, WIDTH - LABEL - VALUE)) : 0
    return html`<g>
<title>${label}: ${text}</title>
<text class="label" x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${ended(label)}</text>
<rect class="s${series}" x="${LABEL}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 6}" rx="2"/>
<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + 14}">${text}</text>
</g>`
  })
  const keys = legend.map(
    (
      { name, series },
      index,
    ) => html`<rect class="s${series}" x="${LABEL + index * 130}" y="5" width="11" height="11" rx="2"/>
<text x="${LABEL + index * 130 + 17}" y="15">${name}</text>`,
  )
  return html`<figure>
<figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}">${keys}${rows}</svg>
</figure>`
}

export interface Line {
  readonly title: string
  /** In order; those that are not finite are left out of the line. */
  readonly points: readonly { readonly label: string; readonly value: number }[]
  readonly unit: string
}

const LINE_HEIGHT = 220
const MARGIN = 46
/** Lines across the plot. */
const GRID = 5

/** A value along a sequence: one point each, joined. */
export function lineChart({ points, title, unit }: Line): Markup {
  const finite = points
    .map(({ label, value }, index) => ({ label, value, index }))
    .filter(({ value }) => Number.isFinite(value))
  const most = Math.max(1, ...finite.map(({ value }) => value))
  const least = Math.min(0, ...finite.map(({ value }) => value))
  const x = (index: number): number => MARGIN + (index / Math.max(1, points.length - 1)) * (WIDTH - MARGIN - 14)
  const y = (value: number): number => 10 + ((most - value) / (most - least)) * (LINE_HEIGHT - 34)
  const grid = Array.from({ length: GRID }, (_, step) => {
    const value = least + ((most - least) * step) / (GRID - 1)
    return html`<line class="grid" x1="${MARGIN}" x2="${WIDTH - 14}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/>
<text x="${MARGIN - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value.toFixed(0)}</text>`
  })
  const path = finite.map(
    ({ index, value }, at) => `${at === 0 ? 'M' : 'L'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`,
  )
  const dots = finite.map(
    ({ index, label, value }) =>
      html`<circle class="s1" cx="${x(index).toFixed(1)}" cy="${y(value).toFixed(1)}" r="2.5"><title>${label}: ${value.toFixed(1)} ${unit}</title></circle>`,
  )
  return html`<figure>
<figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${LINE_HEIGHT}" width="${WIDTH}" height="${LINE_HEIGHT}" role="img" aria-label="${title}">
${grid}<path class="line" d="${path.join('')}"/>${dots}
<text x="${WIDTH - 14}" y="${LINE_HEIGHT - 6}" text-anchor="end">values in graph order; hover over a point for its name</text>
</svg>
</figure>`
}

function ended(label: string): string {
  return label.length <= LABEL_LENGTH ? label : `…${label.slice(label.length - LABEL_LENGTH + 1)}`
}
