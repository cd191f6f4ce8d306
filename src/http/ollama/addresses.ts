import { type Address, notYet } from '../address.ts'

const PUSH = 'Models are pushed by their operator: npx verge push.'

export const ollamaAddresses: readonly Address[] = [
  notYet('POST', '/api/pull', 'always', 'Downloads a model', PUSH),
  notYet('POST', '/api/push', 'always', 'Uploads a model', PUSH),
  notYet('POST', '/api/create', 'always', 'Makes a model of another one', PUSH),
  notYet('POST', '/api/copy', 'always', 'Gives a model another name', 'Use the variable MODEL_NAMES.'),
  notYet('DELETE', '/api/delete', 'always', 'Removes a model', 'Models are removed by their operator: npx verge rm.'),
]
