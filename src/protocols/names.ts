/** The protocols that Verge answers in. Each has the prefix `/<name>`, under which all of its addresses always work. */
export const PROTOCOLS = [
  'verge',
  'openai',
  'anthropic',
  'ollama',
  'cohere',
  'jina',
  'tei',
  'vllm',
  'huggingface',
  'oip',
  'workers-ai',
] as const

export type ProtocolName = (typeof PROTOCOLS)[number]

export function isProtocol(name: unknown): name is ProtocolName {
  return PROTOCOLS.some((protocol) => protocol === name)
}
