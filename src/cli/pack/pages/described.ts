import type { PageTable } from '../../../compile/paged.ts'
import type { Description } from '../description.ts'
import { readPackedModelFile } from '../packed-files.ts'
import { pagePlanner } from './page-plan.ts'
import { sampleTexts } from './texts.ts'

/**
 * How a model's tables are read by page, by its description and the files that it names.
 * @param given contents of files that are taken from here instead
 * @throws manifest_invalid
 */
export async function describedPages(
  { hotRows, hotTexts, preprocess, tokenizer }: Description,
  folder: string,
  given: ReadonlyMap<string, Uint8Array>,
): Promise<PageTable> {
  const read = async (file: string): Promise<Uint8Array> => given.get(file) ?? (await readPackedModelFile(folder, file))
  return pagePlanner({
    ...(tokenizer !== undefined && { tokenizer: await read(tokenizer) }),
    prompts: Object.values(preprocess?.embedding?.prompts ?? {}),
    texts: hotTexts === undefined ? [] : sampleTexts(hotTexts, await read(hotTexts)),
    hotRows,
  })
}
