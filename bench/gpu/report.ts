import { both } from '../lib/format.ts'
import type { Machine } from '../lib/machine.ts'
import type { Table } from '../lib/table.ts'
import type { Device } from './devices.ts'
import type { ProviderResult, Row } from './result.ts'

/** What nobody knows of a provider until it has run. */
const UNCHECKED = [
  'answers beside those of the CPU provider (digits, encoders, convolutions)',
  'batching of 32 callers',
  'generation with the cache on the GPU',
  'memory over repeated loads',
  'latency and throughput beside the CPU provider',
] as const

/**
 * The section of docs/origin/gpu.md as long as the check has not run on a GPU.
 * @public
 */
export const UNPROVEN = `**Unproven.** The check has not run on a GPU. Of the providers \`cuda\` and \`webgpu\` this is unproven:
${UNCHECKED.map((what) => `\n- ${what}`).join('')}`

/** For a terminal, where nothing runs but the processor. */
export function noGpu(results: readonly ProviderResult[]): string {
  const refused = results.flatMap((result) => (result.ran ? [] : [`  ${result.provider}: ${result.reason}`]))
  return ['no GPU: unproven', ...refused, 'Not checked:', ...UNCHECKED.map((what) => `  ${what}`)].join('\n')
}

export function isGpu({ provider, ran }: ProviderResult): boolean {
  return ran && provider !== 'cpu'
}

/** All that is wrong, a line each; empty where every provider agrees with the processor. */
export function faultsOf(results: readonly ProviderResult[], device: Device | undefined): string[] {
  const found = results.flatMap((result) =>
    result.ran ? result.faults.map((fault) => `${result.provider}: ${fault}`) : [],
  )
  const idle = results.filter((result) => !result.ran)
  // A GPU that is there and is not used is what an operator has to hear of.
  if (device !== undefined && !results.some(isGpu)) {
    found.push(`there is a GPU (${device.name}), and no provider runs on it`)
    for (const result of idle) if (!result.ran) found.push(`${result.provider}: ${result.reason}`)
  }
  return found
}

export function gpuTable(
  results: readonly ProviderResult[],
  { date, device, machine }: { readonly date: string; readonly device: Device | undefined; readonly machine: Machine },
): Table {
  const gpu = device === undefined ? 'no NVIDIA driver' : `${device.name}, driver ${device.driver}`
  const { cores, cpu, node, onnxruntime } = machine
  const reference = results.find((result) => result.provider === 'cpu')
  const own = new Map(reference?.ran ? reference.rows.map((row) => [row.what, row]) : [])
  return {
    title: `Checked on ${date}: ${gpu}; ${cores} cores of ${cpu}; Node ${node}, onnxruntime-node ${onnxruntime}`,
    head: ['provider', 'what', 'p50 / p95', 'items/s', 'by the CPU', 'away from the CPU (allowed)', ''],
    rows: results.flatMap((result) =>
      result.ran
        ? result.rows.map((row) => line(result.provider, row, own.get(row.what)))
        : [[result.provider, 'does not run here', '', '', '', '', result.reason]],
    ),
  }
}

function line(provider: string, row: Row, own: Row | undefined): string[] {
  const { distance, fault, note = '', perSecond, time, tolerance, what } = row
  const gain =
    perSecond === undefined || own?.perSecond === undefined ? '' : `${(perSecond / own.perSecond).toFixed(2)}x`
  return [
    provider,
    what,
    time === undefined ? '' : both(time),
    perSecond === undefined ? '' : perSecond.toFixed(perSecond < 10 ? 1 : 0),
    gain,
    distance === undefined ? '' : `${distance.toExponential(1)} (${tolerance})`,
    [note, fault === undefined ? '' : `FAULT: ${fault}`].filter((text) => text !== '').join('; '),
  ]
}
