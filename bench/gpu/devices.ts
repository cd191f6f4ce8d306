import { execFile } from 'node:child_process'

/** A GPU as its driver tells of it. Memory is of the device: of all programs together. */
export interface Device {
  readonly name: string
  readonly driver: string
  readonly usedBytes: number
  readonly totalBytes: number
}

const MEBIBYTE = 2 ** 20
const TIME_LIMIT_MS = 10_000
const QUERY = ['--query-gpu=name,driver_version,memory.used,memory.total', '--format=csv,noheader,nounits']

/** The first NVIDIA GPU; undefined where there is no driver that tells of one. */
export async function nvidiaDevice(): Promise<Device | undefined> {
  const text = await new Promise<string>((resolve) => {
    execFile('nvidia-smi', QUERY, { timeout: TIME_LIMIT_MS }, (error, stdout) => resolve(error ? '' : stdout))
  })
  return readDevice(text)
}

/** @param text lines of `nvidia-smi`, as `QUERY` asks for them */
export function readDevice(text: string): Device | undefined {
  const [name = '', driver = '', used, total] = (text.split('\n')[0] ?? '').split(',').map((cell) => cell.trim())
  const [usedBytes, totalBytes] = [Number(used) * MEBIBYTE, Number(total) * MEBIBYTE]
  if (name === '' || !Number.isFinite(usedBytes) || !Number.isFinite(totalBytes)) return undefined
  return { name, driver, usedBytes, totalBytes }
}
