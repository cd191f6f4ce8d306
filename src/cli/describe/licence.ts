import type { ModelSource } from '../source/source.ts'
import { readText } from './settings.ts'

/** Licence names of the hub, and their SPDX names. */
const SPDX: Readonly<Record<string, string>> = {
  'apache-2.0': 'Apache-2.0',
  mit: 'MIT',
  'bsd-2-clause': 'BSD-2-Clause',
  'bsd-3-clause': 'BSD-3-Clause',
  'mpl-2.0': 'MPL-2.0',
  'gpl-2.0': 'GPL-2.0',
  'gpl-3.0': 'GPL-3.0',
  'lgpl-3.0': 'LGPL-3.0',
  'agpl-3.0': 'AGPL-3.0',
  isc: 'ISC',
  unlicense: 'Unlicense',
  'cc0-1.0': 'CC0-1.0',
  'cc-by-4.0': 'CC-BY-4.0',
  'cc-by-sa-3.0': 'CC-BY-SA-3.0',
  'cc-by-sa-4.0': 'CC-BY-SA-4.0',
  'cc-by-nc-4.0': 'CC-BY-NC-4.0',
  'cc-by-nc-sa-4.0': 'CC-BY-NC-SA-4.0',
  'cc-by-nc-nd-4.0': 'CC-BY-NC-ND-4.0',
}

/** How the texts of licences begin. Those that contain another's heading come first. */
const HEADINGS: readonly (readonly [RegExp, string])[] = [
  [/apache license\s+version 2\.0/i, 'Apache-2.0'],
  [/gnu affero general public license\s+version 3/i, 'AGPL-3.0'],
  [/gnu lesser general public license\s+version 3/i, 'LGPL-3.0'],
  [/gnu general public license\s+version 3/i, 'GPL-3.0'],
  [/gnu general public license\s+version 2/i, 'GPL-2.0'],
  [/mozilla public license,? version 2\.0/i, 'MPL-2.0'],
  [/\bmit license\b|permission is hereby granted, free of charge, to any person obtaining a copy/i, 'MIT'],
  [/redistribution and use in source and binary forms[\s\S]*neither the name/i, 'BSD-3-Clause'],
  [/redistribution and use in source and binary forms/i, 'BSD-2-Clause'],
  [/permission to use, copy, modify, and\/or distribute this software/i, 'ISC'],
  [/this is free and unencumbered software/i, 'Unlicense'],
  [/creative commons (legal code\s+)?cc0/i, 'CC0-1.0'],
  [/attribution-noncommercial-sharealike 4\.0/i, 'CC-BY-NC-SA-4.0'],
  [/attribution-noncommercial 4\.0/i, 'CC-BY-NC-4.0'],
  [/attribution-sharealike 4\.0/i, 'CC-BY-SA-4.0'],
  [/attribution 4\.0 international/i, 'CC-BY-4.0'],
]

export interface Licence {
  readonly licence: string
  readonly from: string
}

/** A model's licence: as the hub states it, as its card does, or by the beginning of its licence file. */
export async function findLicence(source: Pick<ModelSource, 'licence' | 'files'>): Promise<Licence | undefined> {
  if (source.licence !== undefined) return { licence: spdxOf(source.licence), from: 'the model card on the hub' }
  const card = inFrontMatter((await readText(source.files, 'README.md')) ?? '')
  if (card !== undefined) return { licence: spdxOf(card), from: 'README.md' }
  for (const name of ['LICENSE', 'LICENSE.txt', 'LICENSE.md']) {
    const text = (await readText(source.files, name))?.slice(0, 4000)
    const known = text === undefined ? undefined : HEADINGS.find(([heading]) => heading.test(text))
    if (known !== undefined) return { licence: known[1], from: name }
  }
  return undefined
}

/** SPDX's name for a licence, where it has one. */
export function spdxOf(licence: string): string {
  const name = licence.trim()
  const key = name.toLowerCase()
  return Object.hasOwn(SPDX, key) ? (SPDX[key] as string) : name
}

/** `license` of a model card's YAML, of which only plain values and the first item of a list are understood. */
function inFrontMatter(text: string): string | undefined {
  const yaml = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1]
  if (yaml === undefined) return undefined
  const value = (key: string): string | undefined => {
    const line = new RegExp(`^${key}:[ \\t]*(?:\\[[ \\t]*|\\r?\\n[ \\t]*-[ \\t]+)?["']?([^"'\\r\\n,\\]#]+)`, 'm').exec(
      yaml,
    )?.[1]
    return line?.trim() || undefined
  }
  const licence = value('license')
  return licence === 'other' ? (value('license_name') ?? 'other') : licence
}
