import type { Transfer } from './download.ts'
import { openHub } from './hub.ts'
import { readHubSettings } from './hub-settings.ts'
import { openLocalSource } from './local.ts'
import { parseSpec } from './spec.ts'
import type { ModelSource, OpenSourceOptions } from './types.ts'
import { openUrl } from './url.ts'

export type { ModelSource, OpenSourceOptions } from './types.ts'

/**
 * Fetches a model to this machine.
 * @param spec an `.onnx` file, a folder, an https address, or `hf:org/name[@revision]`
 * @throws UsageError with the problem and the fix; VergeError cancelled if the signal aborts
 */
export async function openModelSource(spec: string, options: OpenSourceOptions): Promise<ModelSource> {
  const settings = readHubSettings(options.env)
  const parsed = parseSpec(spec, settings.endpoint)
  if (parsed.kind === 'local') return openLocalSource(parsed.path, options)
  const transfer: Transfer = {
    patience: options.patience ?? {},
    insecure: options.insecure ?? false,
    signal: options.signal,
    progress: options.progress,
  }
  return parsed.kind === 'hub' ? openHub(parsed, settings, transfer, options) : openUrl(parsed.url, transfer, options)
}
