import * as z from 'zod'
import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { digestOfHex, type FileDigest } from './digest.ts'
import { type Download, download, type Transfer } from './download.ts'
import { addressOf, get, readWhole, type SourceResponse } from './http.ts'
import { refusal } from './hub-refusal.ts'
import type { HubSettings } from './hub-settings.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { isInside } from './paths.ts'
import { retrying } from './retry.ts'
import type { HubSpec } from './spec.ts'

/** A file of a repository at one commit. */
export interface HubFile {
  readonly path: string
  readonly bytes?: number | undefined
  readonly digest?: FileDigest | undefined
}

/** A repository at one commit. */
export interface HubInfo {
  readonly commit: string
  readonly licence?: string | undefined
  readonly files: readonly HubFile[]
}

/** A file of which everything is known that it is checked by. */
export type KnownFile = HubFile & { readonly bytes: number; readonly digest: FileDigest }

const byteCount = z.number().int().nonnegative()
const infoSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(
    z.object({
      rfilename: z.string(),
      size: byteCount.nullish(),
      blobId: z.string().nullish(),
      lfs: z.object({ sha256: z.string(), size: byteCount }).nullish(),
    }),
  ),
  cardData: z.object({ license: z.unknown(), license_name: z.unknown() }).partial().nullish(),
})

/** The parts of the Hugging Face hub's HTTP interface that fetching a model takes. */
export class HubApi {
  readonly #settings: HubSettings
  readonly #transfer: Transfer

  constructor(settings: HubSettings, transfer: Transfer) {
    this.#settings = settings
    this.#transfer = transfer
  }

  /** The files of a repository at a revision, without those whose names lead outside. @throws UsageError */
  async info(spec: HubSpec): Promise<HubInfo> {
    const url = this.#url(`api/models/${spec.repo}/revision/${encodeURIComponent(spec.revision)}?blobs=true`)
    const { patience, signal } = this.#transfer
    const bytes = await retrying(
      addressOf(url),
      async () => {
        const answer = await get(url, { ...this.#transfer, credential: this.#settings.credential })
        if (answer.status !== 200) throw this.#refused(answer, spec)
        return readWhole(answer, SOURCE_LIMITS.answerBytes)
      },
      patience,
      signal,
    )
    const { sha, siblings, cardData } = this.#parse(bytes)
    return {
      commit: sha,
      licence: licenceOf(cardData?.license, cardData?.license_name),
      files: siblings
        .filter(({ rfilename }) => isInside(rfilename))
        .map(({ rfilename, size, blobId, lfs }) => ({
          path: rfilename,
          bytes: lfs?.size ?? size ?? undefined,
          digest: digestOfHex(lfs?.sha256 ?? blobId ?? undefined),
        })),
    }
  }

  /** Completes missing digests and sizes, as on mirrors, from the headers of the file. */
  async complete(file: HubFile, spec: HubSpec, commit: string): Promise<KnownFile> {
    const { path, bytes, digest } = file
    if (bytes !== undefined && digest !== undefined) return { path, bytes, digest }
    const url = this.#fileUrl(spec, commit, path)
    const { patience, signal } = this.#transfer
    return retrying(
      addressOf(url),
      async () => {
        // Without a range, which an empty file cannot answer; the body is not read.
        const answer = await get(url, { ...this.#transfer, credential: this.#settings.credential })
        answer.body.destroy()
        if (answer.status !== 200) throw this.#refused(answer, spec, path)
        this.#checkCommit(answer, commit)
        const stated = this.#stated(answer)
        const known = { bytes: bytes ?? stated.bytes, digest: digest ?? stated.digest }
        if (known.bytes === undefined || known.digest === undefined) {
          throw new UsageError(
            `${addressOf(url)} has no checksum or length, so the download cannot be verified. Set HF_ENDPOINT to a server that sends them.`,
          )
        }
        return { path, bytes: known.bytes, digest: known.digest }
      },
      patience,
      signal,
    )
  }

  async download(file: KnownFile, spec: HubSpec, commit: string, target: string, maxBytes: number): Promise<void> {
    const job: Download = {
      url: this.#fileUrl(spec, commit, file.path),
      target,
      label: safeName(file.path),
      maxBytes,
      credential: this.#settings.credential,
      bytes: file.bytes,
      digest: file.digest,
      expect: (answer) => {
        this.#checkCommit(answer, commit)
        return undefined
      },
      refuse: (answer) => {
        answer.body.destroy()
        throw this.#refused(answer, spec, file.path)
      },
    }
    await download(job, this.#transfer)
  }

  #url(path: string): URL {
    return new URL(path, this.#settings.endpoint)
  }

  #fileUrl({ repo }: HubSpec, commit: string, path: string): URL {
    return this.#url(`${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`)
  }

  #refused(answer: SourceResponse, spec: HubSpec, file?: string): UsageError {
    answer.body.destroy()
    const { endpoint, credential } = this.#settings
    return refusal(answer, spec, endpoint, credential !== undefined, file)
  }

  #parse(bytes: Uint8Array): z.infer<typeof infoSchema> {
    const text = new TextDecoder().decode(bytes)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (cause) {
      const what = /^\s*</.test(text) ? 'a web page' : 'something that is not JSON'
      throw new UsageError(
        `${this.#settings.endpoint.origin} answers with ${what} instead of a list of files. Check HF_ENDPOINT, and whether a proxy requires a login.`,
        { cause },
      )
    }
    const result = infoSchema.safeParse(value)
    if (result.success) return result.data
    throw new UsageError(
      `${this.#settings.endpoint.origin} does not answer like the hub (${result.error.issues[0]?.path.join('.')}). Check HF_ENDPOINT.`,
    )
  }

  #checkCommit(answer: SourceResponse, commit: string): void {
    for (const hop of answer.hops) {
      const stated = hop.header('x-repo-commit')
      if (hop.url.origin !== this.#settings.endpoint.origin || stated === undefined || stated === commit) continue
      answer.body.destroy()
      throw new UsageError(
        `The hub answers with commit ${safeName(stated.slice(0, 40))} where ${commit} was asked for. Run this again.`,
      )
    }
  }

  /** Digest and size in the hub's own answer. The store behind a redirect uses other names. */
  #stated({ hops }: SourceResponse): { bytes?: number; digest?: FileDigest } {
    const own = hops.filter(({ url }) => url.origin === this.#settings.endpoint.origin)
    const first = (name: string): string | undefined =>
      own.map((hop) => hop.header(name)).find((value) => value !== undefined)
    const last = own.at(-1)
    const served = last !== undefined && last.status < 300 ? last : undefined
    const etag = first('x-linked-etag') ?? served?.header('etag')
    const digest = digestOfHex(etag?.replace(/^W\//, '').replaceAll('"', ''))
    const size = first('x-linked-size') ?? served?.header('content-length')
    return {
      ...(size !== undefined && /^\d{1,15}$/.test(size) && { bytes: Number(size) }),
      ...(digest && { digest }),
    }
  }
}

/** The licence in a model card: one name, the first of several, or a custom name for "other". */
function licenceOf(license: unknown, name: unknown): string | undefined {
  const first: unknown = Array.isArray(license) ? license[0] : license
  if (first === 'other' && typeof name === 'string' && name !== '') return name.slice(0, 100)
  return typeof first === 'string' && first !== '' ? first.slice(0, 100) : undefined
}
