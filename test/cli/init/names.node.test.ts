import { describe, expect, it } from 'vitest'
import { checkedName, nameFrom } from '../../../src/cli/init/names.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'

describe('the name that a folder suggests', () => {
  it.each([
    ['my-app', 'my-app'],
    ['My App (2)', 'my-app-2'],
    ['Café_Ünïcode', 'cafe-unicode'],
    ['--x--', 'x'],
    ["it's; rm -rf $HOME", 'it-s-rm-rf-home'],
    ['a'.repeat(80), 'a'.repeat(45)],
    [`${'a'.repeat(44)}-b`, 'a'.repeat(44)],
    ['verge', 'verge-app'],
  ])('%s: %s', (folder, name) => {
    expect(nameFrom(folder)).toBe(name)
    expect(checkedName(name)).toBe(name)
  })

  it.each(['日本', '...', '---', '🙂'])('%s suggests none, and the message says what to do', (folder) => {
    expect(() => nameFrom(folder)).toThrow(UsageError)
    expect(() => nameFrom(folder)).toThrow('--name')
  })
})

describe('a given name', () => {
  it.each(['', 'My-App', 'a_b', '-a', 'a-', 'a b', 'a/b', 'a"b', 'é', 'a'.repeat(46), 'verge'])(
    '"%s" is refused',
    (name) => {
      expect(() => checkedName(name)).toThrow(UsageError)
    },
  )
})
