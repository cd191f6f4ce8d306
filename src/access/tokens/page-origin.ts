const FORM = /^[a-z][a-z0-9+.-]{0,31}:\/\/[^\s/?#@*]{1,253}$/i

/**
 * A page's origin as browsers send it: in lower case, without a default port. Undefined for other texts, `null` and `*`
 * among them: a token for every page would be a key.
 */
export function pageOrigin(text: string): string | undefined {
  if (!FORM.test(text)) return undefined
  // Other schemes, of apps and extensions, have no origin by the rules of URLs: browsers send them as they are.
  if (!/^https?:/i.test(text)) return text
  return URL.canParse(text) ? new URL(text).origin : undefined
}

/** Whether a text is an origin as browsers send it. */
export function isPageOrigin(text: string): boolean {
  return pageOrigin(text) === text
}
