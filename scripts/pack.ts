import { parseArgs } from 'node:util'
import { canonicalBytes } from '../src/catalog/canonical-json.ts'
import { sha256 } from './lib/bytes.ts'
import { runScript } from './lib/command-line.ts'
import { type PackedModel, packFolder } from './lib/packer.ts'
import { modelFolders } from './lib/project.ts'

const HELP = `Packs models and shows what would be stored. Writes nothing.

Usage: npm run pack -- [options] [model folder ...]

  --manifest   print the manifests as JSON
  --help       this text

Without folders: every models/<name>/ that has a verge.json.`

const MiB = 1024 * 1024

export function describePacked({ manifest, visibility, notes }: PackedModel): string {
  const lines = manifest.artifacts.map((artifact) => {
    const held = artifact.memoryBytes === undefined ? '' : `, ${megabytes(artifact.memoryBytes)} loaded`
    return `  ${artifact.id}: ${megabytes(artifact.bytes)} for ${artifact.places.join(', ')}${held}`
  })
  const head = `${manifest.model} ${manifest.version}: ${manifest.task ?? 'raw tensors'}, ${visibility}`
  const digest = `  manifest ${sha256(canonicalBytes(manifest))}`
  return [head, ...lines, digest, ...notes.map((note) => `  note: ${note}`)].join('\n')
}

function megabytes(bytes: number): string {
  return `${(bytes / MiB).toFixed(2)} MiB`
}

if (import.meta.main) {
  await runScript(HELP, async () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { manifest: { type: 'boolean' }, help: { type: 'boolean' } },
    })
    if (values.help) return HELP
    const folders = positionals.length > 0 ? positionals : await modelFolders()
    const texts: string[] = []
    for (const folder of folders) {
      const packed = await packFolder(folder)
      texts.push(values.manifest ? JSON.stringify(packed.manifest, null, 2) : describePacked(packed))
    }
    return texts.join('\n')
  })
}
