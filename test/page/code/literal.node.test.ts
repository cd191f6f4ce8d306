import { execFileSync } from 'node:child_process'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { jsLiteral, jsonLiteral, pythonLiteral, shellWord } from '../../../page/code/literal.ts'

const NASTY = [
  'plain',
  "it's",
  '"quoted"',
  '\'both"',
  'back\\slash',
  'a\nb\tc',
  '\u2028\u2029',
  '💡 é',
  '$HOME `id` $(id) !x',
  '</script>',
  '$1 $& %s',
  '',
]
const VALUE = {
  'a b': NASTY,
  n: [1, -0.5, 1e21, 5e-324],
  yes: true,
  no: false,
  nothing: null,
  deep: [{ list: [[], {}] }],
  skip: undefined,
}

describe('literals', () => {
  it('of JSON are the value again', () => {
    expect(JSON.parse(jsonLiteral(VALUE))).toEqual(JSON.parse(JSON.stringify(VALUE)))
  })

  it('of JavaScript are the value again, and hold no line separators', () => {
    const code = jsLiteral(VALUE)
    const again: unknown = JSON.parse(JSON.stringify(runInNewContext(`(${code})`)))
    expect(again).toEqual(JSON.parse(JSON.stringify(VALUE)))
    expect(code).not.toMatch(/[\u2028\u2029]/)
  })

  it('of Python are the value again', () => {
    const script = `import json,sys\nsys.stdout.write(json.dumps(${pythonLiteral(VALUE)}))`
    const printed = execFileSync('python3', ['-c', script], { encoding: 'utf8' })
    expect(JSON.parse(printed)).toEqual(JSON.parse(JSON.stringify(VALUE)))
  })

  it('stand on one line where they are short, and on several where they are long', () => {
    expect(jsLiteral({ model: 'abacus', temperature: 0 })).toBe("{ model: 'abacus', temperature: 0 }")
    expect(jsonLiteral({ model: 'abacus' })).toBe('{"model": "abacus"}')
    const long = jsLiteral({ texts: ['a'.repeat(60), 'b'.repeat(60)] }, 2)
    expect(long.split('\n').map((line) => line.slice(0, 8))).toEqual([
      '{',
      '    text',
      "      'a",
      "      'b",
      '    ],',
      '  }',
    ])
    expect(jsonLiteral(Array.from({ length: 784 }, () => 0)).split('\n')).toHaveLength(1)
  })
})

describe('shellWord', () => {
  it.each([...NASTY, '-n', '*', '~', 'a b', '#x', 'http://127.0.0.1:8787/run/x?top_k=1&y=2'])(
    '%j is one word for sh',
    (text) => {
      expect(execFileSync('sh', ['-c', `printf '%s' ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text)
    },
  )
})
