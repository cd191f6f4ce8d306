import { readdir } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { badSamples, type Content, type Items } from './items.ts'

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.txt': 'text/plain',
  '.wav': 'audio/wav',
}

type Read = (path: string) => Promise<Uint8Array>

const TEST_DATA = /^test_data_set_\d+$/
const TEST_INPUT = /^input_\d+\.pb$/

/** Files of one folder, sorted by name with numbers as numbers, without hidden ones. */
async function sortedEntries(folder: string): Promise<{ readonly files: string[]; readonly folders: string[] }> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith('.'))
  const names = (kind: (entry: (typeof entries)[number]) => boolean): string[] =>
    entries
      .filter(kind)
      .map(({ name }) => name)
      .sort(new Intl.Collator('en', { numeric: true }).compare)
  return { files: names((entry) => !entry.isDirectory()), folders: names((entry) => entry.isDirectory()) }
}

/**
 * Samples of a folder: ONNX's `test_data_set_N` folders, else images or texts; in subfolders named by class, or flat
 * without labels.
 * @param anyFile accepts files of all types, for a model that classifies files
 */
export async function* folderItems(folder: string, read: Read, anyFile = false): Items {
  const { files, folders } = await sortedEntries(folder)
  const tests = folders.filter((name) => TEST_DATA.test(name))
  if (tests.length > 0 || files.some((name) => TEST_INPUT.test(name))) {
    if (files.some((name) => TEST_INPUT.test(name))) yield testItem(folder, read)
    for (const name of tests) yield testItem(join(folder, name), read)
    return
  }
  let found = 0
  for (const name of files) {
    const item = fileItem(join(folder, name), name, read, { anyFile })
    if (item === undefined) continue
    found++
    yield item
  }
  // Files beside the sub-folders are the samples: the sub-folders are then no classes.
  for (const label of found > 0 ? [] : folders) {
    for (const name of (await sortedEntries(join(folder, label))).files) {
      const item = fileItem(join(folder, label, name), `${label}/${name}`, read, { anyFile, label })
      if (item === undefined) continue
      found++
      yield item
    }
  }
  if (found === 0) {
    throw badSamples(
      basename(folder),
      'the folder has no PNG, JPEG, WAV or .txt files, directly or in subfolders by class, and no test_data_set_0.',
    )
  }
}

function fileItem(
  path: string,
  where: string,
  read: Read,
  { anyFile, label }: { readonly anyFile: boolean; readonly label?: string },
) {
  const mediaType = anyFile ? 'application/octet-stream' : MEDIA_TYPES[extname(path).toLowerCase()]
  if (mediaType === undefined) return undefined
  return {
    where,
    read: async () => ({
      content: { kind: 'bytes', mediaType, bytes: await read(path) } as Content,
      ...(label !== undefined && { label }),
    }),
  }
}

function testItem(folder: string, read: Read) {
  return {
    where: basename(folder),
    read: async () => ({ content: { kind: 'tensors', files: await testInputs(folder, read) } as Content }),
  }
}

/** `input_0.pb`, `input_1.pb` ... of a folder of ONNX's test data, in the order of their numbers. */
async function testInputs(folder: string, read: Read): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for (const name of (await sortedEntries(folder)).files) {
    if (TEST_INPUT.test(name)) found.set(name, await read(join(folder, name)))
  }
  return found
}
