import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

/** `relaxed` uses the relaxed SIMD instructions, `plain` does without; the sources are the same. */
export const KERNEL_BUILDS = ['relaxed', 'plain'] as const
export type KernelBuild = (typeof KERNEL_BUILDS)[number]

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Where a build is kept. */
export function kernelFile(build: KernelBuild): string {
  return fileURLToPath(new URL(`../../src/engine/verge/kernels/${build}.wasm`, import.meta.url))
}

/**
 * Nothing is allocated and no runtime is there: kernels get addresses. Constant tables of the elementary functions lie in the
 * first page, which the engine leaves to them.
 */
const OPTIONS = [
  'assembly/index.ts',
  ...['--baseDir', ROOT, '--outFile', 'kernels.wasm'],
  ...['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--memoryBase', '1024'],
  ...['--enable', 'simd', '--enable', 'nontrapping-f2i'],
  // Vectors pass between kernels alone.
  ...['--disableWarning', '112'],
]

/** @throws Error with the compiler's messages */
export async function compileKernels(build: KernelBuild): Promise<Uint8Array> {
  let output: Uint8Array | undefined
  const options = build === 'relaxed' ? [...OPTIONS, '--enable', 'relaxed-simd'] : OPTIONS
  const { error, stderr } = await asc.main(options, {
    writeFile(name, contents) {
      if (name.endsWith('.wasm') && typeof contents !== 'string') output = contents
    },
  })
  if (error || output === undefined)
    throw new Error(`The kernels do not compile.\n${stderr.toString()}`, { cause: error })
  return output
}
