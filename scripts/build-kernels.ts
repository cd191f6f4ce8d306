/**
 * Compiles `assembly/` into the two WebAssembly files of Verge's own engine. They are kept in the repository, so that a fresh
 * clone builds nothing; a test compares them with what this writes.
 */
import { writeFileSync } from 'node:fs'
import { compileKernels, KERNEL_BUILDS, kernelFile } from './kernels/compile.ts'

for (const build of KERNEL_BUILDS) {
  const bytes = await compileKernels(build)
  writeFileSync(kernelFile(build), bytes)
  process.stdout.write(`${kernelFile(build)}: ${bytes.length} bytes\n`)
}
