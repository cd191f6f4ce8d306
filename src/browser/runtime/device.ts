import { type Logger, silentLogger, systemClock } from '../../core/runtime.ts'
import { hasHalfFloats } from '../../engine/webgpu/device.ts'
import { browserAssets } from './assets.ts'
import type { WeightsSource } from './held-model.ts'
import { browserLimits } from './limits.ts'
import { createRuntime, type ModelPlan, type Runtime } from './runtime.ts'

const GIGABYTE = 1024 * 1024 * 1024

export interface DeviceOptions {
  readonly weights: (plan: ModelPlan) => WeightsSource
  readonly logger?: Logger
}

/** A runtime of what this browser has, for a web worker. */
export function deviceRuntime({ weights, logger = silentLogger }: DeviceOptions): Runtime {
  // Chromium alone says it, in gigabytes.
  const { deviceMemory } = navigator as { readonly deviceMemory?: number }
  return createRuntime({
    limits: browserLimits(deviceMemory === undefined ? undefined : deviceMemory * GIGABYTE),
    clock: systemClock,
    logger,
    random: Math.random,
    randomId: () => crypto.randomUUID(),
    assets: browserAssets,
    weights,
    f16: () => hasHalfFloats(navigator.gpu),
  })
}
