import { markersOf } from '../../src/cli/files/markers.ts'
import { ADDRESSES, needsModel, rootPath } from '../../src/http/addresses.ts'
import { PROTOCOLS, type ProtocolName } from '../../src/protocols/names.ts'
import type { CompatibilityGroup, CompatibilityRow } from './row.ts'

/** Where docs/compatibility.md has what is generated. */
export const COMPATIBILITY_MARKERS = markersOf('compatibility', 'node scripts/compatibility.ts --write')

/** What the documents call each table. */
const TITLES: Readonly<Record<CompatibilityGroup, string>> = {
  verge: 'Verge',
  openai: 'OpenAI',
  anthropic: 'Anthropic',
  ollama: 'Ollama',
  cohere: 'Cohere',
  jina: 'Jina AI',
  tei: 'text-embeddings-inference',
  vllm: 'vLLM',
  huggingface: 'Hugging Face',
  oip: 'Open Inference Protocol',
  'workers-ai': 'Workers AI',
  pipelines: 'Pipelines of transformers.js',
}

/** Client of a row whose protocol has no package: requests written down from its documentation. */
const NO_CLIENT = 'its documentation'

/** Everything in docs/compatibility.md that rows and addresses say. @param versions of installed packages */
export function compatibilityText(rows: readonly CompatibilityRow[], versions: ReadonlyMap<string, string>): string {
  const groups = [...PROTOCOLS.filter((name) => name !== 'verge'), 'pipelines', 'verge'] as const
  const sections = groups.flatMap((group) => {
    const own = rows.filter((row) => row.group === group)
    return own.length === 0 ? [] : [section(group, own, versions)]
  })
  return [...sections, addressSection()].join('\n\n')
}

function section(
  group: CompatibilityGroup,
  rows: readonly CompatibilityRow[],
  versions: ReadonlyMap<string, string>,
): string {
  const lines = rows.map((row) => [
    row.note === undefined ? row.what : `${row.what}. ${row.note}`,
    row.state,
    row.state === 'works' ? clientOf(row.client, versions) : row.why,
  ])
  const commands = rows.flatMap((row) => (row.state === 'works' ? [`# ${plain(row.what)}\n${row.curl.trim()}`] : []))
  const examples = commands.length === 0 ? '' : `\n\n\`\`\`sh\n${commands.join('\n\n')}\n\`\`\``
  return `## ${TITLES[group]}\n\n${table(['what', 'state', 'proved with, or why not'], lines)}${examples}`
}

function clientOf(client: string, versions: ReadonlyMap<string, string>): string {
  if (client === NO_CLIENT) return client
  const version = versions.get(client)
  if (version === undefined)
    throw new Error(`${client} is not installed. Name a package of package.json, or "${NO_CLIENT}".`)
  return `\`${client}\` ${version}`
}

/** A comment in a shell has no use for Markdown's marks. */
function plain(markdown: string): string {
  return markdown.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')
}

/** Every address, protocol by protocol. */
function addressSection(): string {
  const lines = PROTOCOLS.flatMap((protocol) =>
    ADDRESSES[protocol].map((address) => [
      TITLES[protocol],
      `\`${address.method} /${protocol}${address.path === '/' ? '' : address.path}\``,
      atRoot(protocol, address),
      address.state === 'works' ? address.what : `${address.what}: not yet`,
    ]),
  )
  return `## Addresses\n\n${table(['protocol', 'behind its prefix', 'at the root', 'what'], lines)}`
}

function atRoot(protocol: ProtocolName, address: (typeof ADDRESSES)[ProtocolName][number]): string {
  const path = rootPath(address)
  if (path === undefined) return 'no'
  const needed = [
    ...(address.root === 'default-protocol' ? [`\`DEFAULT_PROTOCOL=${protocol}\``] : []),
    ...(needsModel(address) ? ['`DEFAULT_MODEL`'] : []),
  ]
  return needed.length === 0 ? `\`${path}\`` : `\`${path}\` with ${needed.join(' and ')}`
}

function table(heading: readonly string[], lines: readonly (readonly string[])[]): string {
  return [heading, heading.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')
}
