import { join, relative, resolve } from 'node:path'
import { canonicalBytes } from '../../catalog/canonical-json.ts'
import { blobKey, manifestKey } from '../../catalog/keys.ts'
import { BUILD_HELP, BUILD_OPTIONS, buildSettings } from '../build/arguments.ts'
import { buildModel } from '../build/build.ts'
import { buildContext } from '../build/context.ts'
import { BUILD_COLUMN } from '../build/options.ts'
import { isReady, packReady } from '../build/ready.ts'
import { refuseUnproven } from '../build/unproven.ts'
import { defineCommand } from '../command.ts'
import { modelFolders } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { sha256 } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'
import { UsageError } from '../terminal/command-line.ts'
import { binarySize, printable } from '../terminal/format.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const PACK_OPTIONS = {
  out: {
    type: 'string',
    value: 'DIR',
    help: 'write the packed objects into a folder, by key: blob/sha256/..., manifest/...',
  },
  manifest: { type: 'boolean', help: 'print the manifests' },
} as const satisfies Options

const OUTPUT_OPTIONS = { json: { type: 'boolean', help: 'for programs' }, ...HELP_OPTION } as const satisfies Options

const OPTIONS = {
  ...PACK_OPTIONS,
  ...BUILD_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const satisfies Options

const HELP = `Packs models as "verge push" would store them, and shows artifacts, their sizes and memory, and the manifest's digest.
Stores nothing. A model without a verge.json is quantized first, as by "verge push".

Usage: npx verge pack [MODEL ...] [options]

MODEL is a folder with a verge.json, an .onnx file, an https:// address, or hf:org/name[@revision]. Default: every
models/<name>/ that has a verge.json.

${helpOf(PACK_OPTIONS, BUILD_COLUMN)}

${BUILD_HELP}

${helpOf(OUTPUT_OPTIONS, BUILD_COLUMN)}

Examples:
  npx verge pack
  npx verge pack models/digits --manifest
  npx verge pack model.onnx --name mine --out stored/`

export const packCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const settings = buildSettings(values)
    for (const name of ['name', 'model-version', 'file'] as const) {
      if (values[name] !== undefined && positionals.length !== 1) {
        throw new UsageError(
          `--${name} applies to a single model. Give only one: npx verge pack model.onnx --${name} ...`,
        )
      }
    }
    const context = buildContext(untilInterrupted(), values.json === true)
    try {
      const packed: PackedModel[] = []
      for (const spec of positionals.length > 0 ? positionals : await modelFolders()) {
        context.signal.throwIfAborted()
        if (await isReady(spec, settings)) packed.push(await packReady(resolve(spec), settings.model))
        else {
          const built = await buildModel(spec, settings, context)
          refuseUnproven(built, 'packed')
          packed.push(built.packed)
        }
        refuseTwins(packed)
      }
      const out = values.out === undefined ? undefined : resolve(values.out)
      if (out !== undefined) for (const model of packed) await writeStored(out, model)
      const manifests = packed.map(({ manifest }) => manifest)
      if (values.json || values.manifest)
        return JSON.stringify(manifests.length === 1 ? manifests[0] : manifests, null, 2)
      const written = out === undefined ? [] : [`Written to ${relative(process.cwd(), out) || '.'}`]
      return [...packed.map(describePacked), ...written].join('\n')
    } finally {
      context.progress.close()
    }
  },
})

/** The last one would be written over another of the same name. @throws UsageError */
function refuseTwins(packed: readonly PackedModel[]): void {
  const last = packed.at(-1)?.manifest
  const same = packed.filter(({ manifest }) => manifest.model === last?.model && manifest.version === last.version)
  if (last === undefined || same.length < 2) return
  throw new UsageError(
    `Two of these models have the name and version ${last.model} ${last.version}. Pack them one at a time, with --name or --model-version.`,
  )
}

/** Describes a packed model for a person. */
function describePacked({ manifest, visibility, notes }: PackedModel): string {
  const lines = manifest.artifacts.map((artifact) => {
    const held = artifact.memoryBytes === undefined ? '' : `, ${binarySize(artifact.memoryBytes)} loaded`
    const pages = artifact.pages === undefined ? '' : `, ${binarySize(artifact.pages.bytes)} of pages beside`
    return `  ${artifact.id}: ${binarySize(artifact.bytes)} for ${artifact.places.join(', ')}${held}${pages}`
  })
  const head = `${manifest.model} ${manifest.version}: ${manifest.task ?? 'raw tensors'}, ${visibility}${manifest.downloadable ? ', downloadable' : ''}`
  const digest = `  manifest ${sha256(canonicalBytes(manifest))}`
  return [head, ...lines, digest, ...notes.map((note) => `  note: ${printable(note)}`)].join('\n')
}

async function writeStored(folder: string, { manifest, chunks }: PackedModel): Promise<void> {
  // Written atomically, because a name with a digest promises its contents.
  const write = (key: string, content: Uint8Array): Promise<void> => writeWhole(join(folder, key), content)
  for (const [digest, chunk] of chunks) await write(blobKey(digest), chunk)
  await write(manifestKey(manifest.model, manifest.version), canonicalBytes(manifest))
}
