import type { Options } from '../terminal/options.ts'
import { SIGNING_KEY } from './private-key.ts'

/** For commands that change a model's alias. */
export const SIGNING_OPTIONS = {
  'signing-key': {
    type: 'string',
    value: 'FILE',
    help: `private key that signs the change (default: ${SIGNING_KEY}, if it is set)`,
  },
  unsigned: { type: 'boolean', help: 'change a signed model without signing it again' },
} as const satisfies Options

export interface SigningArguments {
  readonly 'signing-key'?: string | undefined
  readonly unsigned?: boolean | undefined
}
