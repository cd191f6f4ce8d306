import { GATHER_PAGED } from './ops/gather-paged.ts'
import type { Plan } from './plan.ts'

/** Of the engine: of its operators, and of the numbers that they give. */
export const VERGE_ENGINE_VERSION = '1.2.0'

/** Before tables of four bits and tables in pages: Workers with this version run every other plan. */
const EARLIER_VERSION = '1.1.0'

/** The oldest version that runs a plan: what an artifact's `runtime` says. */
export function versionOf({ constants, steps }: Pick<Plan, 'constants' | 'steps'>): string {
  const isNew = steps.some(({ op }) => op === GATHER_PAGED) || constants.some(({ dtype }) => dtype === 'u4')
  return isNew ? VERGE_ENGINE_VERSION : EARLIER_VERSION
}

const WRITTEN_BY = /^verge (\d+)\.(\d+)\.\d+/

/**
 * A newer patch writes what this version reads; a newer minor or major may write operators that this one does not have.
 * @param runtime what a manifest says of the engine that an artifact was made for: `verge 1.2.0`
 * @returns the version that the artifact needs; undefined where this one is enough, or nothing is said
 */
export function newerVersion(runtime: string | undefined, own = VERGE_ENGINE_VERSION): string | undefined {
  const [, major = 0, minor = 0] = WRITTEN_BY.exec(runtime ?? '')?.map(Number) ?? []
  const [ownMajor = 0, ownMinor = 0] = own.split('.').map(Number)
  const newer = major > ownMajor || (major === ownMajor && minor > ownMinor)
  return newer ? runtime?.slice('verge '.length).slice(0, 32) : undefined
}
