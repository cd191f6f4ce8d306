import { copyFile, link, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { safeName } from '../../onnx/errors.ts'
import { draftOf, writeWhole } from '../files/whole-file.ts'
import { UsageError } from '../terminal/command-line.ts'
import { chooseModel } from './choose.ts'
import { hashFile } from './digest.ts'
import type { Transfer } from './download.ts'
import { HubApi, type HubFile, type HubInfo, type KnownFile } from './hub-api.ts'
import type { HubSettings } from './hub-settings.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { externalFiles } from './model-file.ts'
import { checkedData, folderOf, joinedPath } from './paths.ts'
import { settingsOf } from './settings.ts'
import type { HubSpec } from './spec.ts'
import { type StaticFiles, saysStatic, staticFiles } from './static/find.ts'
import { importNote, importStatic } from './static/import.ts'
import type { ModelSource, OpenSourceOptions } from './types.ts'

/**
 * A repository of the Hugging Face hub. Files are kept by their checksum (`blobs/<hex>`) and linked to where they are in
 * a commit (`snapshots/<commit>/<path>`); each is checked against its checksum every time it is used. A commit that is
 * named by its hash needs no network once its files are there.
 * @throws UsageError
 */
export async function openHub(
  spec: HubSpec,
  settings: HubSettings,
  transfer: Transfer,
  options: Pick<OpenSourceOptions, 'cacheDir' | 'file'>,
): Promise<ModelSource> {
  const repository = new Repository(spec, settings, transfer, options.cacheDir)
  const info = await repository.info()
  const label = `hf:${spec.repo}@${info.commit.slice(0, 12)}`
  const paths = info.files.map(({ path }) => path)
  const file = options.file ?? spec.file
  const common = {
    kind: 'hub' as const,
    label,
    origin: `hf:${spec.repo}@${info.commit}`,
    ...(info.licence !== undefined && { licence: info.licence }),
    revision: info.commit,
  }
  const statics = staticFiles(paths, file)
  if (statics !== undefined && (file !== undefined || (await repository.isStatic(paths)))) {
    return { ...common, ...(await repository.imported(statics, paths, label, options.cacheDir)) }
  }
  const { path, others } = chooseModel(paths, label, file)
  const modelFile = await repository.fetch(path, SOURCE_LIMITS.modelBytes)
  for (const location of await externalFiles(modelFile, `${safeName(path)} of ${label}`)) {
    const data = joinedPath(folderOf(path), checkedData(location, label))
    if (!paths.includes(data)) {
      throw new UsageError(
        `${label}: ${safeName(path)} stores weights in "${safeName(data)}", which is not in the repository.`,
      )
    }
    await repository.fetch(data, SOURCE_LIMITS.modelBytes)
  }
  return { ...common, modelFile, files: await repository.settings(path, paths), others }
}

class Repository {
  readonly #spec: HubSpec
  readonly #settings: HubSettings
  readonly #transfer: Transfer
  readonly #api: HubApi
  readonly #folder: string
  #info: HubInfo | undefined

  constructor(spec: HubSpec, settings: HubSettings, transfer: Transfer, cacheDir: string) {
    this.#spec = spec
    this.#settings = settings
    this.#transfer = transfer
    this.#api = new HubApi(settings, transfer)
    const hub = `${settings.endpoint.host}${settings.endpoint.pathname}`
      .replace(/\/$/, '')
      .replace(/[^A-Za-z0-9.-]/g, '_')
    this.#folder = join(cacheDir, 'hub', hub, spec.repo.replace('/', '--'))
  }

  /** The files of the repository: cached for a commit, fetched for a branch or a tag. */
  async info(): Promise<HubInfo> {
    this.#info = await this.#findInfo()
    return this.#info
  }

  async #findInfo(): Promise<HubInfo> {
    const { revision, repo } = this.#spec
    const pointer = join(this.#folder, 'refs', `${encodeURIComponent(revision)}.ref`)
    const isCommit = /^[0-9a-f]{40}$/.test(revision)
    if (isCommit || this.#settings.offline) {
      const commit = isCommit ? revision : (await readFile(pointer, 'utf8').catch(() => '')).trim()
      const known = await this.#readInfo(commit)
      if (known !== undefined) return known
    }
    if (this.#settings.offline) {
      throw new UsageError(
        `hf:${repo}@${safeName(revision)} is not in the cache, and HF_HUB_OFFLINE is set. Unset it to fetch the model.`,
      )
    }
    const info = await this.#api.info(this.#spec)
    await writeWhole(this.#infoFile(info.commit), JSON.stringify(info))
    await writeWhole(pointer, info.commit)
    return info
  }

  #infoFile(commit: string): string {
    return join(this.#folder, 'commits', `${commit}.json`)
  }

  async #readInfo(commit: string): Promise<HubInfo | undefined> {
    if (!/^[0-9a-f]{40}$/.test(commit)) return undefined
    try {
      const info = JSON.parse(await readFile(this.#infoFile(commit), 'utf8')) as HubInfo
      return info.commit === commit && Array.isArray(info.files) ? info : undefined
    } catch {
      return undefined
    }
  }

  /** The path of one of the repository's files on this machine, fetched if it is not there or damaged. */
  async fetch(path: string, maxBytes: number): Promise<string> {
    const info = this.#info ?? (await this.info())
    const listed = info.files.find((file) => file.path === path)
    if (listed === undefined) throw new UsageError(`hf:${this.#spec.repo} has no file "${safeName(path)}".`)
    const file = await this.#complete(listed, info)
    if (file.bytes > maxBytes) {
      throw new UsageError(
        `${safeName(path)} of hf:${this.#spec.repo} has ${file.bytes} bytes; the limit is ${maxBytes}.`,
      )
    }
    const target = join(this.#folder, 'snapshots', info.commit, ...path.split('/'))
    if (await this.#isRight(target, file)) return target
    const blob = join(this.#folder, 'blobs', file.digest.hex)
    if (!(await this.#isRight(blob, file))) {
      if (this.#settings.offline) {
        throw new UsageError(
          `${safeName(path)} of hf:${this.#spec.repo} is not in the cache, and HF_HUB_OFFLINE is set. Unset it to fetch the file.`,
        )
      }
      await this.#api.download(file, this.#spec, info.commit, blob, maxBytes)
    }
    await place(blob, target)
    return target
  }

  /** The settings of a model, by name. */
  async settings(model: string, paths: readonly string[]): Promise<Map<string, string>> {
    const files = new Map<string, string>()
    for (const [name, file] of settingsOf(model, paths)) {
      files.set(name, await this.fetch(file, SOURCE_LIMITS.settingsBytes))
    }
    return files
  }

  /** Whether small files say that the weights are a static embedding's: they are fetched for nothing else. */
  async isStatic(paths: readonly string[]): Promise<boolean> {
    const [config, modules] = await Promise.all(
      ['config.json', 'modules.json'].map(async (name) =>
        paths.includes(name) ? readFile(await this.fetch(name, SOURCE_LIMITS.settingsBytes), 'utf8') : undefined,
      ),
    )
    return saysStatic(config, modules)
  }

  async imported({ tokenizer, weights }: StaticFiles, paths: readonly string[], label: string, cacheDir: string) {
    const weightsFile = await this.fetch(weights, SOURCE_LIMITS.modelBytes)
    const tokenizerFile = tokenizer === undefined ? undefined : await this.fetch(tokenizer, SOURCE_LIMITS.settingsBytes)
    const { signal } = this.#transfer
    const made = await importStatic(weightsFile, tokenizerFile, { label, cacheDir, signal })
    const files = (await this.settings(weights, paths)).set('tokenizer.json', made.tokenizer)
    return { modelFile: made.modelFile, files, others: [], notes: [importNote(weights)] }
  }

  async #complete(file: HubFile, info: HubInfo): Promise<KnownFile> {
    const { path, bytes, digest } = file
    if (bytes !== undefined && digest !== undefined) return { path, bytes, digest }
    const known = await this.#api.complete(file, this.#spec, info.commit)
    const current = this.#info ?? info
    this.#info = { ...current, files: current.files.map((other) => (other.path === path ? known : other)) }
    await writeWhole(this.#infoFile(info.commit), JSON.stringify(this.#info))
    return known
  }

  async #isRight(path: string, { bytes, digest }: KnownFile): Promise<boolean> {
    const found = await stat(path).catch(() => undefined)
    return found?.size === bytes && (await hashFile(path, digest.kind, this.#transfer.signal)) === digest.hex
  }
}

/** Puts a blob to its place in a commit: a hard link, which takes no room, or a copy where the disk has none. */
async function place(blob: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  const beside = draftOf(target)
  await link(blob, beside).catch(() => copyFile(blob, beside))
  await rename(beside, target)
  // Renaming one link of a file to another of the same does nothing at all.
  await rm(beside, { force: true })
}
