import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { canonicalBytes } from '../../src/catalog/canonical-json.ts'
import { blobKey, manifestKey } from '../../src/catalog/keys.ts'
import { BUILD_HELP, BUILD_OPTIONS, buildSettings } from '../lib/build/arguments.ts'
import { buildModel } from '../lib/build/build.ts'
import { parseCommand } from '../lib/build/options.ts'
import { isReady, packReady } from '../lib/build/ready.ts'
import { workbench } from '../lib/build/session.ts'
import { sha256 } from '../lib/bytes.ts'
import type { PackedModel } from '../lib/packer.ts'
import { modelFolders } from '../lib/project.ts'
import { bytes, printable } from '../lib/terminal/format.ts'
import { untilInterrupted } from '../lib/terminal/interrupt.ts'
import type { Command } from '../verge.ts'

const HELP = `Packs models as they would be stored, and shows what that is: artifacts, their sizes and memory, the manifest's digest.
Stores nothing. A model without a verge.json is made small first, as "verge push" would.

Usage: npx verge pack [MODEL ...] [options]

MODEL is a folder with a verge.json, an .onnx file, an https:// address, or hf:org/name[@revision]. Without any: every
models/<name>/ that has a verge.json.

  --out DIR            write what would be stored into a folder, as keys: blob/sha256/..., manifest/...
  --manifest           print the manifests

${BUILD_HELP}

  --json               for programs
  --help               this text

Examples:
  npx verge pack
  npx verge pack models/digits --manifest
  npx verge pack model.onnx --name mine --out stored/`

export const packCommand: Command = {
  help: HELP,
  async run(args) {
    const { values, positionals } = parseCommand(args, {
      ...BUILD_OPTIONS,
      out: { type: 'string' },
      manifest: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    })
    if (values.help) return HELP
    const settings = buildSettings(values)
    const bench = workbench(untilInterrupted(), values.json === true)
    try {
      const packed: PackedModel[] = []
      for (const spec of positionals.length > 0 ? positionals : await modelFolders()) {
        bench.signal.throwIfAborted()
        if (await isReady(spec, settings)) packed.push(await packReady(resolve(spec), settings.model))
        else packed.push((await buildModel(spec, settings, bench)).packed)
      }
      const out = values.out === undefined ? undefined : resolve(values.out)
      if (out !== undefined) for (const model of packed) await writeStored(out, model)
      const manifests = packed.map(({ manifest }) => manifest)
      if (values.json || values.manifest)
        return JSON.stringify(manifests.length === 1 ? manifests[0] : manifests, null, 2)
      const written = out === undefined ? [] : [`Written to ${relative(process.cwd(), out) || '.'}`]
      return [...packed.map(describePacked), ...written].join('\n')
    } finally {
      bench.progress.close()
    }
  },
}

/** What a packed model is, for a person. */
export function describePacked({ manifest, visibility, notes }: PackedModel): string {
  const lines = manifest.artifacts.map((artifact) => {
    const held = artifact.memoryBytes === undefined ? '' : `, ${bytes(artifact.memoryBytes)} loaded`
    return `  ${artifact.id}: ${bytes(artifact.bytes)} for ${artifact.places.join(', ')}${held}`
  })
  const head = `${manifest.model} ${manifest.version}: ${manifest.task ?? 'raw tensors'}, ${visibility}`
  const digest = `  manifest ${sha256(canonicalBytes(manifest))}`
  return [head, ...lines, digest, ...notes.map((note) => `  note: ${printable(note)}`)].join('\n')
}

async function writeStored(folder: string, { manifest, chunks }: PackedModel): Promise<void> {
  const write = async (key: string, content: Uint8Array): Promise<void> => {
    const path = join(folder, key)
    await mkdir(dirname(path), { recursive: true })
    // A name with a digest in it is a promise of what is behind it.
    await writeFile(`${path}.part`, content)
    await rename(`${path}.part`, path)
  }
  for (const [digest, chunk] of chunks) await write(blobKey(digest), chunk)
  await write(manifestKey(manifest.model, manifest.version), canonicalBytes(manifest))
}
