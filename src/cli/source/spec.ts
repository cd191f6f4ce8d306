import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'
import { isInside } from './paths.ts'

const DEFAULT_REVISION = 'main'

export interface HubSpec {
  readonly kind: 'hub'
  /** `org/name`, or `name` for the hub's oldest repositories. */
  readonly repo: string
  readonly revision: string
  /** A file of the repository, where a page of it was given. */
  readonly file?: string
}

/** The source of a model, as the person wrote it. */
export type Spec =
  | HubSpec
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'local'; readonly path: string }

const REPO = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(\/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})?$/

/** @param endpoint of the hub; addresses of its pages mean their repositories @throws UsageError */
export function parseSpec(spec: string, endpoint: URL): Spec {
  const text = spec.trim()
  if (text === '') throw new UsageError('Specify a model: an .onnx file, a folder, an https address, or hf:org/name.')
  if (/^hf:/i.test(text)) return hubSpec(text.slice(3).replace(/^\/\//, ''))
  if (/^https?:\/\//i.test(text)) return urlSpec(text, endpoint)
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(text)?.[1]
  if (scheme !== undefined) {
    throw new UsageError(
      `"${safeName(scheme)}:" addresses are not supported. Give a path, an https address, or hf:org/name.`,
    )
  }
  return { kind: 'local', path: text }
}

function hubSpec(text: string): HubSpec {
  const at = text.indexOf('@')
  return checked(at === -1 ? text : text.slice(0, at), at === -1 ? DEFAULT_REVISION : text.slice(at + 1))
}

function checked(repo: string, revision: string, file?: string): HubSpec {
  if (!REPO.test(repo) || /\.\.|--|\.git$/.test(repo)) {
    throw new UsageError(`"${safeName(repo)}" is not a repository name. Write hf:org/name, or hf:org/name@revision.`)
  }
  if (!isInside(revision) || !/^[\w./+-]+$/.test(revision)) {
    throw new UsageError(`"${safeName(revision)}" is not a revision. Give a branch, a tag or a commit after "@".`)
  }
  return { kind: 'hub', repo, revision, ...(file !== undefined && { file }) }
}

function urlSpec(text: string, endpoint: URL): Spec {
  if (!URL.canParse(text))
    throw new UsageError('This address is invalid. Use one such as https://example.com/model.onnx.')
  const url = new URL(text)
  return hubPage(url, endpoint) ?? { kind: 'url', url }
}

/** The repository that a page of the hub shows, so that an address copied from a browser works. */
function hubPage(url: URL, endpoint: URL): HubSpec | undefined {
  if (url.origin !== endpoint.origin || !url.pathname.startsWith(endpoint.pathname)) return undefined
  let parts: string[]
  try {
    parts = url.pathname.slice(endpoint.pathname.length).split('/').filter(Boolean).map(decodeURIComponent)
  } catch {
    return undefined
  }
  const [org, name, area, revision, ...path] = parts
  if (org === undefined || name === undefined || ['api', 'datasets', 'spaces', 'docs'].includes(org)) return undefined
  if (area === undefined) return checked(`${org}/${name}`, DEFAULT_REVISION)
  if (revision === undefined || !['tree', 'blob', 'resolve', 'raw'].includes(area)) return undefined
  const file = path.join('/')
  if (area === 'tree') return checked(`${org}/${name}`, revision)
  return file.toLowerCase().endsWith('.onnx') ? checked(`${org}/${name}`, revision, file) : undefined
}
