import { defineFamily } from '../command.ts'
import { createCommand } from './keys/create.ts'
import { listCommand } from './keys/list.ts'
import { revokeCommand } from './keys/revoke.ts'
import { rotateCommand } from './keys/rotate.ts'
import { showCommand } from './keys/show.ts'
import { signCommand } from './keys/sign.ts'
import { updateCommand } from './keys/update.ts'

export const keysCommand = defineFamily({
  name: 'keys',
  about: 'Keys of callers: each with its models, its limits and its end. docs/keys.md explains them.',
  subcommands: {
    create: { about: 'creates a key and prints it, once', command: createCommand },
    list: { about: 'lists the keys', command: listCommand },
    show: { about: 'shows a key without its secret', command: showCommand },
    rotate: { about: 'gives a key a new secret; the old one stays valid for a while', command: rotateCommand },
    revoke: { about: 'revokes a key for good', command: revokeCommand },
    sign: { about: 'signs releases of models, or makes the key to sign them with', command: signCommand },
    update: { about: 'changes what a key may do', command: updateCommand },
  },
  examples: [
    'npx verge keys create shop --models digits --rate 60/1m',
    'npx verge keys list --env production',
    'npx verge keys revoke shop --why "found in a repository"',
  ],
})
