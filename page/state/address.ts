/** Addresses within the page: `#/` is the list, `#/digits` a model. */
export function modelIn(hash: string): string | undefined {
  const [, name = ''] = /^#\/([^/?]+)$/.exec(hash) ?? []
  try {
    return decodeURIComponent(name) || undefined
  } catch {
    return undefined
  }
}

export function hashOf(model: string): string {
  return `#/${encodeURIComponent(model)}`
}
