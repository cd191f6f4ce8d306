import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, totalmem } from 'node:os'

/** What a run was made on; neither a host's name nor an address. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** What of the processor's instructions decides how fast int8 products are. */
  readonly instructions: readonly string[]
  readonly node: string
  readonly workerd: string
  readonly onnxruntime: string
}

const TELLING = ['avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'asimddp']
const require = createRequire(import.meta.url)

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    instructions: instructions(),
    node: process.version.slice(1),
    workerd: versionOf('workerd'),
    onnxruntime: versionOf('onnxruntime-node'),
  }
}

function instructions(): string[] {
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8')
    const flags = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1]?.split(' '))
    return TELLING.filter((flag) => flags.has(flag))
  } catch {
    return []
  }
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { readonly version: string }).version
}
