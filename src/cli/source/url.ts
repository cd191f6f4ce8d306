import { createHash } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { safeName } from '../../onnx/errors.ts'
import { writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'
import { digestOfHex, type FileDigest, hashFile } from './digest.ts'
import { digestInHeaders, download, type Transfer } from './download.ts'
import { addressOf, type Credential, get, type SourceResponse } from './http.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { externalFiles } from './model-file.ts'
import { baseOf, checkedData } from './paths.ts'
import { retrying } from './retry.ts'
import type { ModelSource, OpenSourceOptions } from './types.ts'

/** Metadata of a file that was fetched from an address. */
interface Fetched {
  readonly etag?: string | undefined
  readonly modified?: string | undefined
  readonly sha256: string
}

/**
 * A model at an address. `#sha256=<hex>` is its expected digest. Without it, a copy from an earlier run is used only
 * after the server has confirmed that it is current.
 * @throws UsageError
 */
export async function openUrl(
  url: URL,
  transfer: Transfer,
  options: Pick<OpenSourceOptions, 'cacheDir' | 'file'>,
): Promise<ModelSource> {
  if (options.file !== undefined)
    throw new UsageError('--file applies to folders and repositories only. Remove it, because MODEL is an address.')
  const wanted = digestInFragment(url)
  const name = nameOf(url)
  // The whole address counts, query included: it may be all that tells two models apart.
  const key = createHash('sha256').update(url.href).digest('hex').slice(0, 32)
  const folder = join(options.cacheDir, 'url', key)
  const modelFile = join(folder, name)
  const credential = credentialOf(url)
  const label = addressOf(url)
  await fetchTo(url, modelFile, { credential, wanted, label: name }, transfer)
  let external: string[]
  try {
    external = await externalFiles(modelFile, label)
  } catch (error) {
    await forget(modelFile)
    throw error
  }
  for (const location of external) {
    const beside = new URL(url)
    beside.pathname = `${url.pathname.slice(0, url.pathname.lastIndexOf('/'))}/${location.split('/').map(encodeURIComponent).join('/')}`
    beside.hash = ''
    const target = join(folder, ...checkedData(location, label).split('/'))
    await fetchTo(beside, target, { credential, wanted: undefined, label: safeName(location) }, transfer)
  }
  return { kind: 'url', label, origin: label, modelFile, files: new Map(), others: [] }
}

interface Wanted {
  readonly credential: Credential | undefined
  readonly wanted: FileDigest | undefined
  readonly label: string
}

async function fetchTo(
  url: URL,
  target: string,
  { credential, wanted, label }: Wanted,
  transfer: Transfer,
): Promise<void> {
  const known = await readFetched(target, transfer)
  if (
    known !== undefined &&
    (wanted !== undefined ? known.sha256 === wanted.hex : await isCurrent(url, known, credential, transfer))
  ) {
    return
  }
  const { answer } = await download(
    {
      url,
      target,
      label,
      maxBytes: SOURCE_LIMITS.modelBytes,
      credential,
      digest: wanted,
      expect(answer) {
        refusePage(answer, url)
        const digest = digestInHeaders(answer)
        return digest && { digest }
      },
      async refuse(answer) {
        answer.body.destroy()
        throw refused(answer, url, credential !== undefined)
      },
    },
    transfer,
  )
  const fetched: Fetched = {
    etag: answer?.header('etag'),
    modified: answer?.header('last-modified'),
    sha256: await hashFile(target, 'sha256', transfer.signal),
  }
  await writeWhole(noteOf(target), JSON.stringify(fetched), { mode: 0o600 })
}

/** The cached file, if it is still intact. */
async function readFetched(target: string, transfer: Transfer): Promise<Fetched | undefined> {
  try {
    const fetched = JSON.parse(await readFile(noteOf(target), 'utf8')) as Fetched
    if (!(await stat(target)).isFile()) return undefined
    return (await hashFile(target, 'sha256', transfer.signal)) === fetched.sha256 ? fetched : undefined
  } catch {
    return undefined
  }
}

/** Whether the server still has the same file. */
async function isCurrent(
  url: URL,
  known: Fetched,
  credential: Credential | undefined,
  transfer: Transfer,
): Promise<boolean> {
  if (known.etag === undefined && known.modified === undefined) return false
  const headers: Record<string, string> =
    known.etag !== undefined ? { 'if-none-match': known.etag } : { 'if-modified-since': known.modified ?? '' }
  return retrying(
    addressOf(url),
    async () => {
      const answer = await get(url, { ...transfer, credential, headers: { ...headers, range: 'bytes=0-0' } })
      answer.body.destroy()
      return answer.status === 304
    },
    transfer.patience,
    transfer.signal,
  )
}

async function forget(target: string): Promise<void> {
  await rm(noteOf(target), { force: true })
  await rm(target, { force: true })
}

function noteOf(target: string): string {
  return `${target}.source.json`
}

function digestInFragment(url: URL): FileDigest | undefined {
  if (url.hash === '') return undefined
  const hex = /^#sha256=([0-9a-fA-F]{64})$/.exec(url.hash)?.[1]?.toLowerCase()
  if (hex === undefined)
    throw new UsageError('After "#" an address takes sha256=<64 hexadecimal digits> and nothing else.')
  return digestOfHex(hex)
}

/** User and password of an address, for its own origin alone. */
function credentialOf(url: URL): Credential | undefined {
  if (url.username === '' && url.password === '') return undefined
  let pair: string
  try {
    pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  } catch (cause) {
    throw new UsageError('The user or password in the address is not percent-encoded.', { cause })
  }
  return { origin: url.origin, authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A name for the file that is safe on every system, and the address's own where that is. */
function nameOf(url: URL): string {
  const last = baseOf(url.pathname)
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$/i.test(last) ? last : 'model.onnx'
}

function refusePage(answer: SourceResponse, url: URL): void {
  if (!/^text\/html\b/i.test(answer.header('content-type') ?? '')) return
  answer.body.destroy()
  throw new UsageError(`${addressOf(url)} is a web page, not a model. Give the address of the file itself.`)
}

function refused(answer: SourceResponse, url: URL, hasCredential: boolean): UsageError {
  const { status } = answer
  if (status === 401 || status === 403) {
    const next = hasCredential
      ? 'The server refuses the user or password in the address.'
      : 'The address needs credentials, or its signature has expired.'
    return new UsageError(`${addressOf(url)} answers with HTTP ${status}. ${next}`)
  }
  if (status === 404 || status === 410) return new UsageError(`${addressOf(url)} does not exist (HTTP ${status}).`)
  return new UsageError(`${addressOf(url)} answers with HTTP ${status}.`)
}
