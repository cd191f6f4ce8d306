import { DETECTORS } from './detectors.ts'
import type { Families, Family } from './family.ts'
import { POSES } from './keypoints.ts'
import { PICTURE_MAPS } from './picture-maps.ts'
import { TEXTS } from './texts.ts'

/** Well-known families by the names that `--preset` takes, a file for each kind of model. */
const FAMILIES: Families = { ...DETECTORS, ...PICTURE_MAPS, ...POSES, ...TEXTS }

export const FAMILY_NAMES: readonly string[] = Object.keys(FAMILIES).sort()

/** Undefined where no family has this name. */
export function familyNamed(name: string): Family | undefined {
  return Object.hasOwn(FAMILIES, name) ? FAMILIES[name] : undefined
}
