import { isVergeError } from '../../core/errors.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { closest } from './closest.ts'
import { printableLines } from './format.ts'

/** Something that a person can fix; its message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * Runs a script's work and prints what it returns. Failures that a person can fix are printed as a message, with exit
 * code 1; wrong arguments with what was meant, and 2; anything else is a fault of ours, and keeps its stack.
 */
export async function runScript(help: string, work: () => Promise<string | undefined>): Promise<void> {
  try {
    const text = await work()
    if (text !== undefined) console.log(text)
  } catch (error) {
    if (isArgumentError(error)) {
      console.error(withoutSecrets(printableLines(adviceOn(error, help))))
      process.exitCode = 2
    } else if (error instanceof UsageError || isVergeError(error) || isOnnxError(error)) {
      // Messages hold names of a model's author, a hub's or a server's.
      console.error(withoutSecrets(printableLines(error.message)))
      process.exitCode = 1
      // The work is complete here. Handles that an interrupted workerd left open would keep the process running.
      if (isVergeError(error, 'cancelled')) process.exit()
    } else {
      throw error
    }
  }
}

/** The error in the arguments, in a line or two. The full help would scroll it out of view. */
function adviceOn(error: Error, help: string): string {
  const unknown = /^Unknown option '(-[^']*)'/.exec(error.message)?.[1]
  if (unknown === undefined) return `${error.message}\n"--help" lists the options.`
  const options = [...new Set([...help.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*/g)].map(([option]) => option))]
  const meant = closest(unknown, options)
  const question = meant === undefined ? '' : ` Did you mean ${meant}?`
  return `Unknown option ${unknown}.${question} "--help" lists the options.`
}

/** A key that was given in a wrong place is not repeated: errors end up in logs and tickets. */
function withoutSecrets(text: string): string {
  return text.replace(/(verge_sk_[0-9a-z]{1,12})[0-9A-Za-z_]+/g, '$1...').replace(/(verge_bt_)[\w.-]+/g, '$1...')
}

/** What `parseArgs` throws. */
function isArgumentError(error: unknown): error is Error {
  return error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_')
}
