import { SaxesParser } from 'saxes'
import type { R2ObjectLike, R2ObjectsLike } from '../weights/r2.ts'

/** S3's answers are four deep. */
const MAX_DEPTH = 8

/**
 * Reads the answer to ListObjectsV2 with `encoding-type=url`. The caller bounds the length of `xml`.
 * @param limit the number of keys that was asked for
 * @returns null unless the answer states for certain which keys exist and whether more follow, because a caller may
 * delete objects that a list leaves out
 */
export function parseList(xml: string, prefix: string, limit: number): R2ObjectsLike | null {
  const list = new Fields()
  const entries: Fields[] = []
  const understood = readXml(xml, {
    open(path) {
      if (path !== 'ListBucketResult/Contents') return
      if (entries.length === limit) throw new NotUnderstood()
      entries.push(new Fields())
    },
    leaf(path, text) {
      const [root, name = '', inner, ...deeper] = path.split('/')
      if (root !== 'ListBucketResult') throw new NotUnderstood()
      if (inner === undefined) list.set(name, text)
      else if (name === 'Contents' && deeper.length === 0) entries.at(-1)?.set(inner, text)
    },
  })
  const truncated = list.get('IsTruncated')
  const cursor = list.get('NextContinuationToken') ?? ''
  const count = list.get('KeyCount')
  if (!understood || (truncated !== 'false' && (truncated !== 'true' || cursor === ''))) return null
  if (count !== undefined && Number(count) !== entries.length) return null
  const objects: R2ObjectLike[] = []
  for (const entry of entries) {
    const key = decodedKey(entry.get('Key') ?? '')
    const size = entry.get('Size') ?? ''
    if (key === undefined || key === '' || !key.startsWith(prefix) || !/^\d{1,15}$/.test(size)) return null
    objects.push({ key, size: Number(size), etag: unquoted(entry.get('ETag') ?? '') })
  }
  return { objects, truncated: truncated === 'true', ...(truncated === 'true' && { cursor }) }
}

/** The code of an S3 error (`NoSuchKey`); undefined if the answer is not one. The caller bounds the length of `xml`. */
export function parseErrorCode(xml: string): string | undefined {
  const error = new Fields()
  const understood = readXml(xml, { leaf: (path, text) => error.set(path, text) })
  const code = error.get('Error/Code')
  return understood && code !== undefined && /^[A-Za-z]{1,64}$/.test(code) ? code : undefined
}

/** HTTP writes etags in quotes; the R2 binding does not. */
export function unquoted(etag: string): string {
  return etag.replace(/^W\//, '').replace(/^"|"$/g, '')
}

function decodedKey(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

class NotUnderstood extends Error {}

/** Text by element name. */
class Fields {
  readonly #fields = new Map<string, string>()

  get(name: string): string | undefined {
    return this.#fields.get(name)
  }

  /** @throws NotUnderstood where a name comes twice: it is unclear which of the two counts */
  set(name: string, text: string): void {
    if (this.#fields.has(name)) throw new NotUnderstood()
    this.#fields.set(name, text)
  }
}

interface Visitor {
  /** Names from the root on, joined by `/`. */
  open?(path: string): void
  /** An element without elements inside. */
  leaf(path: string, text: string): void
}

/**
 * Walks through a document. The parser is strict: it ends at anything that is not well-formed, and it expands no
 * entities except XML's own, because it does not read the declarations of a DOCTYPE.
 * @returns whether the document was read to its end
 */
function readXml(xml: string, visitor: Visitor): boolean {
  const open: { readonly path: string; text: string; hasElements: boolean }[] = []
  const add = (text: string): void => {
    const element = open.at(-1)
    if (element !== undefined) element.text += text
  }
  const parser = new SaxesParser()
  parser.on('error', () => {
    throw new NotUnderstood()
  })
  parser.on('opentag', ({ name }) => {
    const parent = open.at(-1)
    if (open.length === MAX_DEPTH) throw new NotUnderstood()
    if (parent !== undefined) parent.hasElements = true
    const path = parent === undefined ? name : `${parent.path}/${name}`
    open.push({ path, text: '', hasElements: false })
    visitor.open?.(path)
  })
  parser.on('text', add)
  parser.on('cdata', add)
  parser.on('closetag', () => {
    const element = open.pop()
    if (element !== undefined && !element.hasElements) visitor.leaf(element.path, element.text)
  })
  try {
    parser.write(xml).close()
    return true
  } catch (error) {
    if (error instanceof NotUnderstood) return false
    throw error
  }
}
