import type { Artifact, Place } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Description } from './description.ts'

/**
 * Places of what a file is packed into for the edge: browsers run the same, where they may have it. Of a model that is not
 * downloadable the manifest does not name them, so that it is the same as before there was the field.
 * @param places of the file
 */
export function placesOfEdgeForms(
  places: readonly Place[],
  { downloadable = false }: Pick<Description, 'downloadable'>,
): Place[] {
  return downloadable && places.includes('browser') ? ['edge', 'browser'] : ['edge']
}

/** @throws manifest_invalid for a model that browsers may download and cannot run */
export function assertDownloadable(
  { downloadable = false, name }: Pick<Description, 'downloadable' | 'name'>,
  artifacts: readonly Pick<Artifact, 'places'>[],
): void {
  if (!downloadable || artifacts.some(({ places }) => places.includes('browser'))) return
  throw new VergeError(
    'manifest_invalid',
    `Model "${name}" is downloadable, but none of its artifacts is for browsers. Add "browser" to the places of an artifact, or remove "downloadable".`,
  )
}
