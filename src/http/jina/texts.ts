import { VergeError } from '../../core/errors.ts'
import type { JinaDocument } from '../../protocols/jina/wire.ts'
import { emptyList } from '../../tasks/vectors/embedding-inputs.ts'

/** The texts of a field, in whichever form they came. @throws empty_input, not_implemented for pictures */
export function textsOf(sent: JinaDocument | readonly JinaDocument[], name: string): readonly string[] {
  const list = Array.isArray(sent) ? (sent as readonly JinaDocument[]) : [sent as JinaDocument]
  if (list.length === 0) throw emptyList(name)
  return list.map((each, i) => textOf(each, Array.isArray(sent) ? `${name}[${i}]` : name))
}

/** @throws not_implemented for a picture */
export function textOf(sent: JinaDocument, field: string): string {
  if (typeof sent === 'string') return sent
  if ('text' in sent && typeof sent.text === 'string') return sent.text
  throw new VergeError('not_implemented', 'Embeddings of images are not implemented yet. Send texts.', {
    details: { field },
  })
}
