import { html, raw } from 'hono/html'
import { LIMITS } from '../../core/limits.ts'
import { safeName } from '../../onnx/errors.ts'
import type { Measured, Measurements } from '../measure/measure.ts'
import { describeLocated } from '../verify/locate.ts'
import {
  cosineText,
  decibelsText,
  decimalSize,
  milliseconds,
  percent,
  significant,
  tally,
  worstFirst,
} from './format.ts'
import { type Bar, barChart, lineChart, type Markup } from './plots.ts'
import { COPIED, isCompared, type Report, ratios, unexercisedOf } from './report.ts'
import { STYLE } from './style.ts'

/** Layers that are drawn; all of them are in the table below. */
const LAYERS_DRAWN = 60
/** A tenth of the signal: where a layer's error begins to show. */
const NOISY_DB = 20

/**
 * The report as one page that needs nothing else: no scripts, no fonts, no requests. Whatever comes from the model is
 * escaped.
 */
export function renderHtml(report: Report): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${safeName(report.model)} ${safeName(report.version)}: report</title>
<style>${raw(STYLE)}</style>
</head>
<body>
${heading(report)}${choices(report)}${sizes(report)}${agreement(report)}${layers(report)}${measured(report)}${notes(report)}
</body>
</html>
`
  // control characters have no place in HTML
  return String(page).replace(/[^\P{Cc}\n]/gu, ' ')
}

const STATES = {
  agrees: html`<span class="good">verified in workerd</span>`,
  differs: html`<span class="bad">verification failed</span>`,
  none: html`<span class="bad">not proven: no output is exercised</span>`,
}

function heading(report: Report): Markup {
  const { accuracy, artifacts, measured, model, source, verification, version } = report
  const state = verification === null ? html`<span class="soft">not verified</span>` : STATES[verification.verdict]
  const main = artifacts.find(({ places }) => places.includes('edge')) ?? artifacts[0]
  return html`<h1>${safeName(model)} ${safeName(version)}</h1>
<p>${state} <span class="soft">from</span> <code>${safeName(source)}</code></p>
<div class="cards">
${main ? card(percent(ratios(main, report).bytes), `of the original on disk, both in ${main.format.toUpperCase()} format: ${decimalSize(main.sizes.bytes)}`) : null}
${accuracy ? card(percent(accuracy.value, 2), `${safeName(accuracy.metric)}; original ${percent(accuracy.baseline, 2)}${accuracy.copied ? `; ${COPIED}` : ''}`) : null}
${measured?.measurements ? card(milliseconds(measured.measurements.warm.p50), 'per answer, loaded (p50)') : null}
${measured ? card(measured.verdict.fit, 'in a Worker') : null}
</div>`
}

function card(figure: string, text: string): Markup {
  return html`<div class="card"><b>${figure}</b><span>${text}</span></div>`
}

function choices({ choices, options, passes, tools }: Report): Markup {
  const asked = Object.entries(options).map(([name, value]) => html`<code>--${name} ${safeName(String(value))}</code> `)
  return html`<h2>What was done</h2>
${asked.length > 0 ? html`<p>Options: ${asked}</p>` : null}
<ul>${choices.map(({ what, why }) => html`<li><b>${safeName(what)}</b>: ${safeName(why)}</li>`)}</ul>
${passes.length > 0 ? html`<p>Changes: ${passes.map(({ changes, pass }) => `${pass} ${changes}`).join(', ')}</p>` : null}
<p class="soft">${Object.entries(tools)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}</p>`
}

function sizes(report: Report): Markup {
  const { artifacts, original, originalOrt } = report
  const originals = [original, ...(originalOrt === null ? [] : [originalOrt])]
  const kinds = [
    ['on disk', 'bytes', 1],
    ['gzip', 'gzip', 2],
    ['brotli', 'brotli', 3],
  ] as const
  const bars = [...originals, ...artifacts].flatMap((artifact, index) =>
    kinds.map(([name, key, series]): Bar => {
      const { dtype, format, id, sizes } = artifact
      const isOriginal = index < originals.length
      const share = isOriginal ? '' : ` (${percent(ratios(artifact, report)[key])})`
      const label = isOriginal ? `original, ${dtype}, ${format}` : id
      return { label: `${label}, ${name}`, value: sizes[key], text: `${decimalSize(sizes[key])}${share}`, series }
    }),
  )
  const legend = kinds.map(([name, , series]) => ({ name, series }))
  return html`<h2>Size</h2>
${barChart({ title: 'Bytes, and C = S_compressed / S_original in the same format', bars, legend })}`
}

function agreement({ accuracy, located, trimming, verification }: Report): Markup | null {
  if (verification === null && accuracy === null) return null
  const rows = (verification?.artifacts ?? []).flatMap((entry) =>
    entry.outputs.filter(isCompared).map(
      ({ cosine: value, elements, equal, maxAbs, output, relative, sqnrDb, top1 }) => html`<tr>
<td>${entry.artifact}, ${entry.place === 'edge' ? 'workerd' : 'onnxruntime-node'}</td><td><code>${safeName(output)}</code></td>
<td class="n">${cosineText(value)}</td><td class="n">${significant(maxAbs)}</td>
<td class="n">${relative === null ? '-' : percent(relative, 2)}</td><td class="n">${value === null ? '-' : decibelsText(sqnrDb)}</td>
<td class="n">${top1 ? percent(top1.same / top1.rows) : equal === null ? '-' : percent(equal / Math.max(1, elements))}</td></tr>`,
    ),
  )
  const failures = (verification?.artifacts ?? []).flatMap(({ artifact, failures }) =>
    failures.map((failure) => html`<p class="bad">${artifact}: ${failure}</p>`),
  )
  const unexercised = (verification?.artifacts ?? []).flatMap((entry) =>
    unexercisedOf(entry).map((sentence) => html`<p>${sentence}</p>`),
  )
  const samples = verification
    ? `The Worker's engine loaded each artifact for the edge in workerd. Its outputs were compared with those of the ${trimming === null ? 'original' : 'trimmed model'} in onnxruntime-node, over ${verification.samples} ${verification.synthetic ? 'generated ' : ''}samples.`
    : ''
  return html`<h2>Agreement with the ${trimming === null ? 'original' : 'trimmed model'}</h2>
${accuracy ? html`<p>${safeName(accuracy.metric)} on ${accuracy.samples} labelled samples: <b>${percent(accuracy.value, 2)}</b>, original ${percent(accuracy.baseline, 2)}${accuracy.copied ? `; ${COPIED}` : ''}.</p>` : null}
${
  verification
    ? html`<p class="soft">${samples}</p>${failures}${unexercised}
<div class="scroll"><table><thead><tr><th>artifact</th><th>output</th><th class="n">cosine</th><th class="n">max abs</th><th class="n">error</th><th class="n">SQNR</th><th class="n">top-1 or equal</th></tr></thead><tbody>${rows}</tbody></table></div>`
    : null
}
${
  located
    ? html`<p>${describeLocated(located)}</p>${lineChart({
        title: 'Signal to noise inside the graph',
        unit: 'dB',
        points: located.values.map(({ node, op, sqnrDb, value }) => ({
          label: `${safeName(node || value)} (${op})`,
          value: sqnrDb,
        })),
      })}`
    : null
}`
}

function layers({ layers, skipped }: Report): Markup | null {
  if (layers.length === 0 && skipped.length === 0) return null
  const ordered = worstFirst(layers)
  const drawn = ordered.filter(({ sqnrDb }) => sqnrDb !== null).slice(0, LAYERS_DRAWN)
  const bars = drawn.map(({ node, sqnrDb, to, weight }): Bar => {
    const value = sqnrDb ?? Number.NaN
    return {
      label: safeName(node || weight),
      value: Math.max(0, value),
      text: `${decibelsText(value)}, ${to}`,
      series: value < NOISY_DB ? 4 : 1,
    }
  })
  const legend = [
    { name: 'weights', series: 1 as const },
    { name: `below ${NOISY_DB} dB`, series: 4 as const },
  ]
  const title = `Signal to noise of the weights, worst first${drawn.length < layers.length ? `: ${drawn.length} of ${layers.length}` : ''}`
  return html`<h2>Layers</h2>
<p>${tally(layers.map(({ to }) => to))
    .map(([to, count]) => `${count} to ${to}`)
    .join(', ')}</p>
${bars.length > 0 ? barChart({ title, bars, legend }) : null}
${
  layers.length > 0
    ? html`<details><summary>All ${layers.length} layers</summary>
<div class="scroll"><table><thead><tr><th>node</th><th>op</th><th>weight</th><th>to</th><th class="n">before</th><th class="n">after</th><th class="n">SQNR</th></tr></thead><tbody>${ordered.map(
        ({ bytesAfter, bytesBefore, node, op, sqnrDb, to, weight }) =>
          html`<tr><td><code>${safeName(node)}</code></td><td>${safeName(op)}</td><td><code>${safeName(weight)}</code></td><td>${to}</td><td class="n">${decimalSize(bytesBefore)}</td><td class="n">${decimalSize(bytesAfter)}</td><td class="n">${decibelsText(sqnrDb)}</td></tr>`,
      )}</tbody></table></div></details>`
    : null
}
${
  skipped.length > 0
    ? html`<details><summary>${skipped.length} not quantized</summary>
<div class="scroll"><table><thead><tr><th>node</th><th>op</th><th>why</th></tr></thead><tbody>${skipped.map(
        ({ node, op, reason }) =>
          html`<tr><td><code>${safeName(node)}</code></td><td>${safeName(op)}</td><td>${safeName(reason)}</td></tr>`,
      )}</tbody></table></div></details>`
    : null
}`
}

function measured({ measured, measuredOriginal }: Report): Markup | null {
  if (measured === null) return null
  const { measurements, verdict } = measured
  const shown: (readonly [string, Measurements, 1 | 2])[] = []
  const note = (name: string, from: Measured | null, series: 1 | 2): void => {
    if (from?.measurements) shown.push([name, from.measurements, series])
  }
  note('original', measuredOriginal, 2)
  note(measurements?.artifact ?? '', measured, 1)
  const times = shown.flatMap(([name, { coldMs, warm }, series]): Bar[] => [
    { label: `${name}, first answer`, value: coldMs, text: milliseconds(coldMs), series },
    { label: `${name}, loaded, p50`, value: warm.p50, text: milliseconds(warm.p50), series },
    { label: `${name}, loaded, p95`, value: warm.p95, text: milliseconds(warm.p95), series },
  ])
  // The growth of the process is left out, because it includes compiled code and local storage.
  const memory = shown.map(
    ([name, { heapBytes }, series]): Bar => ({
      label: `${name}, WebAssembly memory`,
      value: heapBytes,
      text: decimalSize(heapBytes),
      series,
    }),
  )
  return html`<h2>In a Worker</h2>
<p><b>${verdict.fit}</b>: ${verdict.reason}</p>
${shown.length > 0 ? [barChart({ title: 'Time of an answer', bars: times }), barChart({ title: 'Memory', bars: memory }), html`<p class="soft">The engine's WebAssembly memory may grow to ${decimalSize(LIMITS.engineHeapBytes)} of an isolate's 128 MB. It contains the runtime, all loaded models and the memory of a run.</p>`] : null}
${
  measurements
    ? html`<p>A run costs ${significant(measurements.cost.cost.base)} units and ${significant(measurements.cost.cost.perElement)} for each element of its input. A unit is the time of a million multiply-adds of a 32-bit matrix product in the same engine: ${measurements.cost.unitMicroseconds} µs here.</p>
<p class="soft">Measured with ${measurements.elements} elements on this machine; CPU time of an answer: ${milliseconds(measurements.cpuMs)}; network round trip, included in the times above: ${milliseconds(measurements.roundTripMs)}.</p>`
    : null
}`
}

function notes({ notes }: Report): Markup | null {
  return notes.length === 0
    ? null
    : html`<h2>Notes</h2><ul>${notes.map((note) => html`<li>${printableNote(note)}</li>`)}</ul>`
}

/** Notes are sentences of the tool's, with names of the model's in them. */
function printableNote(note: string): string {
  return note.replace(/\s+/g, ' ')
}
