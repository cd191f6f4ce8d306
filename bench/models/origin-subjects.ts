import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { descriptionSchema } from '../../src/cli/pack/description.ts'
import { pack, packFolder } from '../../src/cli/pack/packer.ts'
import type { Stored } from '../lib/storage.ts'
import { LARGE_MODELS } from '../measures/origin-large.ts'
import { LANGUAGE_MODEL, TALKER } from '../measures/origin-stream.ts'
import { CACHE } from './index.ts'
import { madeSubject, ownSubject } from './subjects.ts'
import { pictureSubject } from './task-subjects.ts'

/** What a Worker has to know for the measures of origins: models that an origin runs, and names of a stand-in's. */
export async function originSubjects(): Promise<Stored[]> {
  const tensors = {
    inputs: [{ name: 'input', datatype: 'UINT8', shape: ['bytes'] }],
    outputs: [{ name: 'output', datatype: 'UINT8', shape: ['bytes'] }],
  }
  return [
    await ownSubject('reviews'),
    await madeSubject('encoder-fp32'),
    await pictureSubject(),
    { name: LANGUAGE_MODEL, packed: await packFolder(join(ROOT, 'models', LANGUAGE_MODEL)) },
    await elsewhere(TALKER, { task: 'text-generation' }),
    await elsewhere(LARGE_MODELS.same, tensors),
    await elsewhere(LARGE_MODELS.renamed, tensors),
  ]
}

/** A model that a server of somebody else's has: a name and nothing more. */
async function elsewhere(name: string, more: Readonly<Record<string, unknown>>): Promise<Stored> {
  const base = { name, version: '1', visibility: 'public', licence: 'Apache-2.0', placement: 'origin', artifacts: [] }
  return { name, packed: await pack(descriptionSchema.parse({ ...base, ...more }), CACHE) }
}
