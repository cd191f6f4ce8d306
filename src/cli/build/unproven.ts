import { join, relative } from 'node:path'
import type { Signature } from '../../core/tensors.ts'
import { safeName } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { UsageError } from '../terminal/command-line.ts'
import { howToGiveSamples } from '../verify/find.ts'
import type { Verification } from '../verify/verify.ts'
import type { Built } from './build.ts'

/**
 * Stops what differs from its original, and what nothing was shown of.
 * @param what would have been done with it: "pushed"
 * @throws UsageError saying which output differs or is not exercised, and what to do
 */
export function refuseUnproven(built: Pick<Built, 'report' | 'reports' | 'packed' | 'sample'>, what: string): void {
  const { verification } = built.report
  if (verification === null || verification.ok) return
  const whole = `Full report: ${relative(process.cwd(), join(built.reports, 'report.html'))}`
  if (verification.verdict === 'none') {
    const { packed, sample } = built
    const lines = noEvidence(packed.manifest, { samples: sample === undefined ? [] : [sample] }, verification)
    throw new UsageError(`Nothing was ${what}. ${lines.join('\n')}\n${whole}`)
  }
  const failed = verification.artifacts.filter(({ failures }) => failures.length > 0)
  const lines = failed.map(({ artifact, failures }) => `  ${artifact}: ${failures.join('; ')}`).join('\n')
  throw new UsageError(
    `The model's outputs differ too much from the original's. Nothing was ${what}.\n${lines}\n` +
      'Exclude the layers where the error begins (--exclude), use a higher precision (--dtype), or raise the tolerance (--tolerance).' +
      `\n${whole}`,
  )
}

/** Why there is no verdict, and what to do, a line each. */
export function noEvidence(
  signature: Signature,
  { samples: [sample] }: { readonly samples: readonly Sample[] },
  { artifacts, synthetic }: Verification,
): string[] {
  const outputs = new Map(
    artifacts.flatMap(({ outputs }) => outputs.map(({ output, unexercised }) => [output, unexercised])),
  )
  const shapes = new Map([...(sample?.inputs ?? [])].map(([name, { shape }]) => [name, shape]))
  return [
    `On ${synthetic ? 'the inputs that Verge generated' : 'these samples'} no output shows whether the model is correct.`,
    ...[...outputs].map(([output, unexercised]) => `Output "${safeName(output)}": ${unexercised}.`),
    'Give inputs that produce a meaningful result: --samples with images, texts or requests.',
    ...howToGiveSamples(signature, shapes).split('\n'),
  ]
}
