import { createInterface } from 'node:readline/promises'
import { throwIfAborted } from '../../core/errors.ts'
import { UsageError } from './command-line.ts'

/**
 * Asks for confirmation; any answer except "y" or "yes" declines.
 * @throws UsageError if there is no terminal, cancelled
 */
export async function agreed(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new UsageError(
      'This command asks for confirmation, but there is no terminal. Run it with --yes, or with --dry-run to change nothing.',
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // While a question is open the terminal's Ctrl-C is a key like any other.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal })).trim())
  } catch (error) {
    throwIfAborted(signal)
    throw error
  } finally {
    terminal.close()
  }
}
