import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { chooseModel } from './choose.ts'
import { externalFiles } from './model-file.ts'
import { folderOf } from './paths.ts'
import { settingsOf } from './settings.ts'
import { STATIC_FOLDER, type StaticFiles, staticFiles } from './static/find.ts'
import { importNote, importStatic } from './static/import.ts'
import type { ModelSource, OpenSourceOptions } from './types.ts'

/** Where sentence-transformers writes how it pools. */
const POOLING = ['1_Pooling', '1_SpladePooling']

type LocalOptions = Pick<OpenSourceOptions, 'file' | 'cacheDir' | 'signal'>

/** A file or a folder on this machine. Nothing of an ONNX model is copied. @throws UsageError */
export async function openLocalSource(path: string, options: LocalOptions): Promise<ModelSource> {
  const full = resolve(path)
  const found = await stat(full).catch(() => undefined)
  if (found === undefined) {
    throw new UsageError(
      `There is no "${safeName(path)}". Give an .onnx file, a folder, an https address, or hf:org/name for a repository on the hub.`,
    )
  }
  return found.isDirectory() ? openFolder(full, options) : openFile(full, options)
}

async function openFile(path: string, options: LocalOptions): Promise<ModelSource> {
  if (options.file !== undefined)
    throw new UsageError('--file applies to folders and repositories only. Remove it, because MODEL is a file.')
  const folder = dirname(path)
  if (path.endsWith('.safetensors')) return openSafetensors(path, options)
  await checkExternal(path, basename(path))
  // The folder above counts where Optimum's layout says so; only then is it looked into.
  const above = basename(folder) === 'onnx'
  const root = above ? dirname(folder) : folder
  const paths = await filesIn(root, above ? ['', 'onnx', ...POOLING] : ['', ...POOLING])
  const model = above ? `onnx/${basename(path)}` : basename(path)
  return {
    kind: 'file',
    label: safeName(basename(path)),
    modelFile: path,
    files: inside(root, settingsOf(model, paths)),
    others: [],
  }
}

async function openFolder(folder: string, options: LocalOptions): Promise<ModelSource> {
  const { file } = options
  const label = safeName(basename(folder) || folder)
  const chosenFolder = file === undefined ? '' : folderOf(file.replaceAll('\\', '/'))
  const paths = await filesIn(folder, [...new Set(['', 'onnx', ...POOLING, STATIC_FOLDER, chosenFolder])])
  const statics = staticFiles(paths, file)
  if (statics !== undefined) return openStatic('folder', folder, statics, paths, label, options)
  const { path, others } = chooseModel(paths, label, file)
  const modelFile = join(folder, path)
  await checkExternal(modelFile, `${label}/${safeName(path)}`)
  return { kind: 'folder', label, modelFile, files: inside(folder, settingsOf(path, paths)), others }
}

/** A static embedding by its file of weights; its settings lie beside it, or above sentence-transformers' folder. */
async function openSafetensors(path: string, options: LocalOptions): Promise<ModelSource> {
  const folder = dirname(path)
  const below = basename(folder) === STATIC_FOLDER
  const root = below ? dirname(folder) : folder
  const paths = await filesIn(root, below ? ['', STATIC_FOLDER] : [''])
  const weights = below ? `${STATIC_FOLDER}/${basename(path)}` : basename(path)
  const statics = staticFiles(paths, weights) ?? { weights, tokenizer: undefined }
  return openStatic('file', root, statics, paths, safeName(basename(path)), options)
}

async function openStatic(
  kind: 'file' | 'folder',
  root: string,
  { tokenizer, weights }: StaticFiles,
  paths: readonly string[],
  label: string,
  { cacheDir, signal }: LocalOptions,
): Promise<ModelSource> {
  const beside = tokenizer === undefined ? undefined : join(root, tokenizer)
  const imported = await importStatic(join(root, weights), beside, { label, cacheDir, signal })
  const files = inside(root, settingsOf(weights, paths)).set('tokenizer.json', imported.tokenizer)
  return { kind, label, modelFile: imported.modelFile, files, others: [], notes: [importNote(weights)] }
}

/** Names of the files in some folders below `root`, relative to it, with forward slashes. */
async function filesIn(root: string, folders: readonly string[]): Promise<string[]> {
  const paths: string[] = []
  for (const folder of folders) {
    if (folder.split('/').includes('..')) throw new UsageError('--file must name a file inside the folder.')
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      if (entry.isFile() || entry.isSymbolicLink()) paths.push(folder === '' ? entry.name : `${folder}/${entry.name}`)
    }
  }
  return paths
}

function inside(root: string, files: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...files].map(([name, path]) => [name, join(root, path)]))
}

/** External data has to be there, and not to lead out of the model's folder by a link. */
async function checkExternal(path: string, label: string): Promise<void> {
  const folder = dirname(path)
  for (const location of await externalFiles(path, label)) {
    const real = await realpath(join(folder, location)).catch(() => undefined)
    if (real === undefined) {
      throw new UsageError(`${label} stores weights in "${safeName(location)}", which is missing. Copy it there.`)
    }
    const way = relative(await realpath(folder), real)
    if (way.startsWith('..') || isAbsolute(way)) {
      throw new UsageError(
        `${label} stores weights in "${safeName(location)}", a link to a file outside its folder. Copy the file there.`,
      )
    }
  }
}
