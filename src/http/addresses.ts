import { PROTOCOLS, type ProtocolName } from '../protocols/names.ts'
import type { Address } from './address.ts'
import { anthropicAddresses } from './anthropic/addresses.ts'
import { cohereAddresses } from './cohere/addresses.ts'
import { huggingFaceAddresses } from './hf/addresses.ts'
import { jinaAddresses } from './jina/addresses.ts'
import { oipAddresses } from './oip/addresses.ts'
import { ollamaAddresses } from './ollama/addresses.ts'
import { openAiAddresses } from './openai/addresses.ts'
import { teiAddresses } from './tei/addresses.ts'
import { vergeAddresses } from './verge/addresses.ts'
import { vllmAddresses } from './vllm/addresses.ts'
import { workersAiAddresses } from './workers-ai/addresses.ts'

/** Every address that Verge answers, by its protocol. */
export const ADDRESSES: Readonly<Record<ProtocolName, readonly Address[]>> = {
  verge: vergeAddresses,
  openai: openAiAddresses,
  anthropic: anthropicAddresses,
  ollama: ollamaAddresses,
  cohere: cohereAddresses,
  jina: jinaAddresses,
  tei: teiAddresses,
  vllm: vllmAddresses,
  huggingface: huggingFaceAddresses,
  oip: oipAddresses,
  'workers-ai': workersAiAddresses,
}

/** What the operator says about addresses that name no protocol or no model. */
export interface AddressDefaults {
  readonly defaultProtocol?: ProtocolName | undefined
  readonly defaultModel?: string | undefined
}

/** The segment by which an address behind a prefix names its model, where the root has one without. */
const MODEL_SEGMENT = '/{model}'

/** An address's path at the root, configured or not; undefined where it has none. */
export function rootPath({ path, root }: Address): string | undefined {
  if (root === 'never') return undefined
  return needsModel({ path, root }) ? path.slice(MODEL_SEGMENT.length) || '/' : path
}

/** Whether its path at the root names no model, and `DEFAULT_MODEL` does. */
export function needsModel({ path, root }: Pick<Address, 'path' | 'root'>): boolean {
  return root !== 'always' && path.startsWith(MODEL_SEGMENT)
}

/** Whether an address answers at the root. */
export function answersAtRoot(protocol: ProtocolName, address: Address, defaults: AddressDefaults): boolean {
  if (address.root === 'never' || (needsModel(address) && defaults.defaultModel === undefined)) return false
  return address.root !== 'default-protocol' || defaults.defaultProtocol === protocol
}

/** The order in which protocols claim a path at the root: the default one first, and Verge last. */
export function rootOrder({ defaultProtocol }: AddressDefaults): readonly ProtocolName[] {
  const rank = (protocol: ProtocolName): number => (protocol === defaultProtocol ? 0 : protocol === 'verge' ? 2 : 1)
  return [...PROTOCOLS].sort((a, b) => rank(a) - rank(b))
}
