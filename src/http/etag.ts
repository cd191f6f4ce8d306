/**
 * Whether `If-None-Match` (RFC 9110, 13.1.2) names the tag: `*`, or a list of tags, weak ones among them where something
 * compressed the answer.
 */
export function namesTag(header: string | undefined, tag: string): boolean {
  return (header ?? '').split(',').some((each) => ['*', tag].includes(each.trim().replace(/^W\//, '')))
}
