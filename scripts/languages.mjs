/**
 * Writes src/cli/trim/languages.json: the letters of each language, as Unicode's CLDR lists them (exemplar characters, main
 * and auxiliary), with the digits, marks and signs of their scripts, for `--languages`.
 *
 * Run by hand with `node scripts/languages.mjs FOLDER`, where FOLDER has the data:
 * `npm install --prefix FOLDER cldr-misc-full@48.2.0`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const package_ = createRequire(join(resolve(process.argv[2] ?? ''), 'x')).resolve('cldr-misc-full/package.json')
const main = join(dirname(package_), 'main')

/** The characters of one of CLDR's sets, such as `[a b-d {ch} \u0131]`. */
function charactersOf(set) {
  const found = new Set()
  const items = set.slice(1, -1).match(/\{[^}]*\}|\\u\{[0-9a-f]+\}|\\u[0-9a-f]{4}|\\.|\S/giu) ?? []
  const plain = (item) =>
    item
      .replace(/\\u\{?([0-9a-f]+)\}?/gi, (_, digits) => String.fromCodePoint(Number.parseInt(digits, 16)))
      .replace(/\\(.)/gu, '$1')
  for (let at = 0; at < items.length; at++) {
    const item = items[at]
    if (items[at + 1] === '-' && items[at + 2] !== undefined) {
      const last = plain(items[at + 2]).codePointAt(0)
      for (let point = plain(item).codePointAt(0); point <= last; point++) found.add(String.fromCodePoint(point))
      at += 2
    } else for (const character of plain(item.startsWith('{') ? item.slice(1, -1) : item)) found.add(character)
  }
  return found
}

/** Scripts whose digits and signs are their own, and not those of all scripts. */
const SCRIPTS = [
  ...['Adlam', 'Arabic', 'Armenian', 'Bengali', 'Bopomofo', 'Canadian_Aboriginal', 'Chakma', 'Cherokee', 'Coptic'],
  ...['Cyrillic', 'Devanagari', 'Ethiopic', 'Georgian', 'Greek', 'Gujarati', 'Gurmukhi', 'Han', 'Hangul', 'Hebrew'],
  ...['Hiragana', 'Kannada', 'Katakana', 'Khmer', 'Lao', 'Malayalam', 'Meetei_Mayek', 'Mongolian', 'Myanmar', 'Nko'],
  ...['Ol_Chiki', 'Oriya', 'Osage', 'Sinhala', 'Syriac', 'Tamil', 'Telugu', 'Thaana', 'Thai', 'Tibetan', 'Tifinagh'],
  ...['Vai', 'Yi'],
].map((name) => {
  const own = new RegExp(`[[\\p{N}\\p{P}\\p{S}\\p{M}]&&\\p{sc=${name}}]`, 'v')
  const signs = []
  for (let point = 0; point < 0x2_0000; point++) {
    const character = String.fromCodePoint(point)
    if (own.test(character)) signs.push(character)
  }
  return { letter: new RegExp(`\\p{sc=${name}}`, 'u'), signs }
})

/** Runs of code points: `a-z` for three and more, else one after the other. */
function ranges(characters) {
  const points = [...characters].map((character) => character.codePointAt(0)).sort((a, b) => a - b)
  let text = ''
  for (let from = 0; from < points.length; ) {
    let to = from
    while (points[to + 1] === points[to] + 1) to++
    const [first, last] = [String.fromCodePoint(points[from]), String.fromCodePoint(points[to])]
    text +=
      to - from >= 2
        ? `${first}-${last}`
        : points
            .slice(from, to + 1)
            .map((p) => String.fromCodePoint(p))
            .join('')
    from = to + 1
  }
  return text
}

const languages = {}
for (const name of readdirSync(main).sort()) {
  const { characters } = JSON.parse(readFileSync(join(main, name, 'characters.json'), 'utf8')).main[name]
  const letters = new Set()
  for (const set of [characters.exemplarCharacters, characters.auxiliary]) {
    if (typeof set !== 'string') continue
    for (const character of charactersOf(set)) {
      for (const form of [character, character.toLowerCase(), character.toUpperCase()]) {
        for (const each of form.normalize('NFC')) if (/[\p{L}\p{M}]/u.test(each)) letters.add(each)
      }
    }
  }
  const all = [...letters].join('')
  for (const { letter, signs } of SCRIPTS) if (letter.test(all)) for (const sign of signs) letters.add(sign)
  if (letters.size > 0) languages[name] = ranges(letters)
}
for (const name of Object.keys(languages)) {
  // A region writes as its language does, unless its entry differs.
  for (let parent = name.replace(/-[^-]*$/, ''); parent !== name && languages[name] !== undefined; ) {
    if (languages[parent] === languages[name]) delete languages[name]
    const next = parent.replace(/-[^-]*$/, '')
    if (next === parent) break
    parent = next
  }
}
const file = fileURLToPath(new URL('../src/cli/trim/languages.json', import.meta.url))
writeFileSync(file, `${JSON.stringify(languages, null, 2)}\n`)
