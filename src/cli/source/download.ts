import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { throwIfAborted } from '../../core/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { digestOfHex, type FileDigest, hashFile } from './digest.ts'
import { addressOf, broken, type Credential, get, type SourceResponse } from './http.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { PartialFile } from './part.ts'
import { type Patience, retrying, TransientError } from './retry.ts'

/** Tells a person how far a download is. */
export interface SourceProgress {
  /** @param total bytes, where they are known */
  task(label: string, total?: number): { set(bytes: number): void; done(text?: string): void }
}

export interface Transfer {
  readonly patience: Patience
  readonly insecure: boolean
  readonly signal?: AbortSignal | undefined
  readonly progress?: SourceProgress | undefined
}

export interface Download {
  readonly url: URL
  /** Where the file is put when it is whole and right. */
  readonly target: string
  /** For messages and progress. */
  readonly label: string
  readonly maxBytes: number
  readonly credential?: Credential | undefined
  /** Expected digest and size, if known before the download. */
  readonly bytes?: number | undefined
  readonly digest?: FileDigest | undefined
  /** Reads the expected digest and size from the answer's headers, if they are not known. */
  readonly expect?: (answer: SourceResponse) => { readonly digest?: FileDigest } | undefined
  /** Called with answers of 400 and above, and others that bring no file. @throws the error to report */
  readonly refuse: (answer: SourceResponse) => Promise<never> | never
}

export interface Downloaded {
  /** The last answer's headers; undefined where an earlier run had left all there is. */
  readonly answer: SourceResponse | undefined
}

/**
 * Downloads a file: resumes after a broken connection or an earlier run, bounds the size, and verifies the checksum if
 * one is known. A file with a wrong checksum is fetched once more.
 * @throws UsageError, and errors of `refuse`
 */
export async function download(job: Download, transfer: Transfer): Promise<Downloaded> {
  const part = await PartialFile.claim(job.target)
  const report = reporter(job, transfer)
  const reached = furthest()
  try {
    for (let round = 1; ; round++) {
      const { answer, digest } = await retrying(
        addressOf(job.url),
        () => attempt(job, part, transfer, { report: report.set, reached }),
        transfer.patience,
        transfer.signal,
      )
      if (digest === undefined || (await hashFile(part.path, digest.kind, transfer.signal)) === digest.hex) {
        await part.finish()
        return { answer }
      }
      await part.clear()
      if (round === 2) {
        throw new UsageError(
          `${job.label}: the download from ${addressOf(job.url)} had a wrong checksum twice (expected ${digest.kind} ` +
            `${digest.hex}). Nothing was kept. The file is damaged, or a proxy changed it.`,
        )
      }
    }
  } catch (error) {
    throwIfAborted(transfer.signal)
    throw diskError(job, error)
  } finally {
    report.done()
    await part.release()
  }
}

async function attempt(
  job: Download,
  part: PartialFile,
  transfer: Transfer,
  { report, reached }: Pick<Reception, 'report' | 'reached'>,
): Promise<{ answer: SourceResponse | undefined; digest: FileDigest | undefined }> {
  // A checksum decides in the end, so bytes of the same checksum go together whatever the servers call them. Without
  // one only a strong ETag proves that the rest belongs to the stored part.
  const known = job.digest && `${job.digest.kind}:${job.digest.hex}`
  const validator = known ?? (await part.note())?.validator
  const have = await part.resume(validator)
  if (job.bytes !== undefined && have > 0 && have >= job.bytes && job.digest !== undefined) {
    if (have > job.bytes) await part.clear()
    else return { answer: undefined, digest: job.digest }
  }
  const from = job.bytes !== undefined && have > job.bytes ? 0 : have
  const answer = await get(job.url, {
    ...transfer,
    credential: job.credential,
    headers: {
      ...(from > 0 && { range: `bytes=${from}-` }),
      ...(from > 0 && known === undefined && validator !== undefined && { 'if-range': validator }),
    },
  })
  if (answer.status === 416 && from > 0) {
    answer.body.destroy()
    await part.clear()
    throw new TransientError('the server cannot resume the last download', { pauseMs: 0 })
  }
  if (answer.status !== 200 && answer.status !== 206) return job.refuse(answer)
  const expected = job.expect?.(answer)
  const digest = job.digest ?? expected?.digest
  const total = totalOf(answer, from, job)
  const wanted = job.bytes ?? total
  if (total !== undefined && wanted !== undefined && total !== wanted) {
    answer.body.destroy()
    throw new TransientError(`the server offers ${total} bytes of a file of ${wanted}`)
  }
  if ((wanted ?? 0) > job.maxBytes) {
    answer.body.destroy()
    throw tooLong(job)
  }
  const start = answer.status === 206 ? from : 0
  if (start === 0) await part.clear()
  const strong = answer.header('etag')?.startsWith('"') ? answer.header('etag') : undefined
  const name = digest ? `${digest.kind}:${digest.hex}` : strong
  await part.describe(name === undefined ? undefined : { validator: name })
  await receive(answer, { job, part, start, wanted, report, reached })
  return { answer, digest }
}

/** Bytes that the whole file has by this answer's headers. */
function totalOf(answer: SourceResponse, from: number, job: Download): number | undefined {
  if (answer.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.header('content-range') ?? '')
    if (range === null || Number(range[1]) !== from) {
      answer.body.destroy()
      throw new UsageError(`${addressOf(job.url)} answers with a different range than requested.`)
    }
    return Number(range[2])
  }
  const length = answer.header('content-length')
  return length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length)
}

interface Reception {
  readonly job: Download
  readonly part: PartialFile
  readonly start: number
  readonly wanted: number | undefined
  readonly report: Report
  readonly reached: (bytes: number) => boolean
}

/**
 * Whether an attempt made progress beyond all earlier ones. If a server does not support ranges, each attempt starts
 * from the beginning and may get no further than the last.
 */
function furthest(): (bytes: number) => boolean {
  let most = 0
  return (bytes) => {
    const progressed = bytes - most >= SOURCE_LIMITS.progressBytes
    most = Math.max(most, bytes)
    return progressed
  }
}

async function receive(
  answer: SourceResponse,
  { job, part, start, wanted, report, reached }: Reception,
): Promise<void> {
  const file = createWriteStream(part.path, { flags: start === 0 ? 'w' : 'a' })
  let bytes = start
  let failed: unknown
  file.on('error', (error) => {
    failed = error
    answer.body.destroy(error)
  })
  try {
    for await (const piece of answer.body) {
      bytes += (piece as Uint8Array).length
      if (bytes > Math.min(job.maxBytes, wanted ?? job.maxBytes)) throw tooLong(job)
      if (!file.write(piece)) await drained(file)
      report(bytes, wanted)
    }
  } catch (error) {
    if (error instanceof UsageError) {
      answer.body.destroy()
      await closed(file)
      await part.clear()
      throw error
    }
    await closed(file)
    throw failed ?? broken(error, reached(bytes))
  }
  await closed(file)
  if (failed !== undefined) throw failed
  if (wanted !== undefined && bytes < wanted) {
    throw new TransientError(`the answer ended after ${bytes} of ${wanted} bytes`, {
      progressed: reached(bytes),
    })
  }
  if ((await stat(part.path)).size !== bytes) {
    await part.clear()
    throw new TransientError('something else wrote to the same file')
  }
}

type Report = (bytes: number, total: number | undefined) => void

/** Progress of one download, however many attempts it takes; begun when the first bytes come. */
function reporter({ label }: Download, { progress }: Transfer): { readonly set: Report; done(): void } {
  let task: ReturnType<SourceProgress['task']> | undefined
  return {
    set(bytes, total) {
      task ??= progress?.task(label, total)
      task?.set(bytes)
    },
    done: () => task?.done(),
  }
}

function drained(file: ReturnType<typeof createWriteStream>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      file.off('drain', done).off('close', done)
      resolve()
    }
    file.on('drain', done).on('close', done)
  })
}

function closed(file: ReturnType<typeof createWriteStream>): Promise<void> {
  return new Promise((resolve) => {
    if (file.closed) resolve()
    else file.once('close', () => resolve()).end()
  })
}

function tooLong(job: Download): UsageError {
  return new UsageError(
    `${job.label} is longer than allowed or declared (at most ${job.bytes ?? job.maxBytes} bytes). Nothing was kept.`,
  )
}

function diskError(job: Download, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  return new UsageError(
    `The disk is full: ${job.label} does not fit. Free some space and run the command again. The download resumes.`,
    {
      cause: error,
    },
  )
}

/** A checksum that a server states in its headers: `Repr-Digest` (RFC 9530) or the older `Digest` (RFC 3230). */
export function digestInHeaders(answer: SourceResponse): FileDigest | undefined {
  const base64 =
    /(?:^|[,\s])sha-256=:([A-Za-z0-9+/=]{44}):/.exec(answer.header('repr-digest') ?? '')?.[1] ??
    /(?:^|[,\s])sha-256=([A-Za-z0-9+/=]{44})/i.exec(answer.header('digest') ?? '')?.[1]
  return base64 === undefined ? undefined : digestOfHex(Buffer.from(base64, 'base64').toString('hex'))
}
