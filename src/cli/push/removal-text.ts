/** Names versions or manifests in a line. */
export type Names = (all: readonly string[]) => string

/** More in a line are counted. */
export const MOST_NAMED = 10

/** @param most of them to be named */
export function listed(all: readonly string[], most: number): string {
  const rest = all.length - most
  return rest <= 0 ? all.join(', ') : `${all.slice(0, most).join(', ')} and ${rest} more (--verbose names them)`
}

/** @param harmed versions, as `model/version` */
export function lacking(harmed: readonly string[], names: Names): string {
  return `Versions that were pushed during the removal lack chunks now: ${names(harmed)}. Push them again.`
}

/** @param unreadable keys of manifests */
export function staying(unreadable: readonly string[], names: Names): string {
  return (
    `The weights were kept, because these manifests cannot be read and may use them: ${names(unreadable)}. Push those ` +
    'versions again or delete the manifests in the bucket, then run this command again.'
  )
}
