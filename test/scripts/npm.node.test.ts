import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'

it('npm prints nothing of its own before a command, whichever npm it is', async () => {
  const { stdout, stderr } = await promisify(execFile)('npm', ['config', 'get', 'loglevel'], { cwd: ROOT })
  // below it are the warnings of packages for a Node that they do not run under, and of settings that npm 10 alone reads
  expect({ loglevel: stdout.trim(), stderr }).toEqual({ loglevel: 'error', stderr: '' })
})
