import { relative, resolve } from 'node:path'
import { defineCommand, onlyArgument } from '../command.ts'
import { INSTALLED, PACKAGE } from '../files/project.ts'
import { specOf } from '../init/origin-of-package.ts'
import { type WrittenApp, writeApp } from '../init/write-app.ts'
import { UsageError } from '../terminal/command-line.ts'
import { shellWord } from '../terminal/format.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'

const OPTIONS = {
  name: { type: 'string', value: 'NAME', help: "the Worker's name (default: made of the folder's)" },
  force: { type: 'boolean', help: 'write into a folder that is not empty, and replace files of the same names' },
  'dry-run': { type: 'boolean', help: 'show what would be written; write nothing' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Writes an application that uses this package: a wrangler.toml, an entry that re-exports the Worker and has a place for
routes of your own, and models/ with one model.

Usage: npx verge init FOLDER [options]

${helpOf(OPTIONS)}`

export const initCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: 'files',
  async run({ values, positionals }) {
    const folder = onlyArgument(positionals, 'a folder for the application, such as my-app')
    if (!INSTALLED) {
      throw new UsageError(
        'This is Verge\'s own repository, and "verge init" writes an application that uses the package. Make the package, ' +
          'and run its command outside of the repository:\n\n  npm pack\n  npx --ignore-scripts <path of the .tgz file> init my-app\n',
      )
    }
    const dryRun = values['dry-run'] === true
    const app = await writeApp({
      folder,
      name: values.name,
      force: values.force === true,
      from: PACKAGE,
      spec: (version) => specOf(PACKAGE, version, resolve(folder)),
      dryRun,
    })
    return describe(app, relative(process.cwd(), resolve(folder)), dryRun)
  },
})

function describe({ name, files, replaced }: WrittenApp, folder: string, dryRun: boolean): string {
  const lines = files.map((path) => `  ${path}${replaced.includes(path) ? ' (replaced)' : ''}`)
  const listed = [`${dryRun ? 'Would write' : 'Wrote'} the application "${name}":`, '', ...lines, '']
  if (dryRun) return [...listed, 'Nothing was written (--dry-run).'].join('\n')
  return [
    ...listed,
    'Next:',
    '',
    ...(folder === '' ? [] : [`  cd ${shellWord(folder)}`]),
    '  npm install',
    '  npm start',
    '',
    'node_modules/verge/docs/package.md explains the files, and how to upgrade.',
  ].join('\n')
}
