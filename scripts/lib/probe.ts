import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Manifest } from '../../src/catalog/manifest.ts'
import { encodeGreyPng } from './png.ts'

/** A request that makes a model run, and the same as a line for a shell. */
export interface Probe {
  readonly path: string
  readonly body: Uint8Array<ArrayBuffer> | string
  readonly contentType: string
  /** `curl` with everything but the address. */
  readonly curl: (url: string) => string
}

const TEXT = 'A wonderful film: funny, moving and beautifully played.'

/** Elements that a probe's input may have at the most; a model that wants more is proven by its metadata alone. */
const MOST_ELEMENTS = 200_000

/**
 * What to ask a model to see that it works: by its task, with a sample from its folder where there is one; otherwise
 * tensors of zeros by the Open Inference Protocol. Null where that would be unreasonably large.
 */
export async function probeFor(manifest: Manifest, folder: string): Promise<Probe | null> {
  const path = `/run/${manifest.model}`
  if (manifest.task === 'image-classification') {
    const sample = await firstSample(folder)
    const body = sample ? new Uint8Array(await readFile(join(folder, 'samples', sample))) : stroke()
    const contentType = sample?.endsWith('.jpg') ? 'image/jpeg' : 'image/png'
    const file = sample ? join(folder, 'samples', sample) : 'picture.png'
    return {
      path,
      body,
      contentType,
      curl: (url) => `curl ${url}${path} -H 'content-type: ${contentType}' --data-binary @${file}`,
    }
  }
  if (manifest.task === 'text-classification') {
    const body = JSON.stringify({ inputs: TEXT })
    const contentType = 'application/json'
    return {
      path,
      body,
      contentType,
      curl: (url) => `curl ${url}${path} -H 'content-type: ${contentType}' -d '${body}'`,
    }
  }
  return zeros(manifest)
}

/** The Open Inference Protocol's request with every element 0 and every open dimension 1. */
function zeros(manifest: Manifest): Probe | null {
  const inputs = manifest.inputs.map(({ name, datatype, shape }) => {
    const dimensions = shape.map((dimension) => (typeof dimension === 'number' && dimension >= 0 ? dimension : 1))
    const count = dimensions.reduce((product, dimension) => product * dimension, 1)
    return { name, datatype, shape: dimensions, count }
  })
  if (inputs.some(({ count, datatype }) => count > MOST_ELEMENTS || datatype === null)) return null
  const zero = { BYTES: '', BOOL: false } as Readonly<Record<string, unknown>>
  const body = JSON.stringify({
    inputs: inputs.map(({ name, datatype, shape, count }) => ({
      name,
      datatype,
      shape,
      data: new Array(count).fill(zero[datatype ?? ''] ?? 0),
    })),
  })
  const path = `/v2/models/${manifest.model}/infer`
  return {
    path,
    body,
    contentType: 'application/json',
    curl: (url) => (body.length < 400 ? `curl ${url}${path} -d '${body}'` : `curl ${url}/v2/models/${manifest.model}`),
  }
}

async function firstSample(folder: string): Promise<string | undefined> {
  const names = await readdir(join(folder, 'samples')).catch(() => [])
  return names.filter((name) => /\.(png|jpg)$/.test(name)).sort()[0]
}

/** A dark upright stroke on white: a picture for models that come without samples. */
function stroke(): Uint8Array<ArrayBuffer> {
  const side = 64
  const pixels = new Uint8Array(side * side).fill(255)
  for (let row = 12; row < 52; row++) pixels.fill(0, row * side + 29, row * side + 35)
  return encodeGreyPng(side, side, pixels)
}
