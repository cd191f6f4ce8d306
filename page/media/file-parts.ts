/** Files whose type is asked for. Pure. */

export interface FileExample {
  readonly name: string
  readonly text: string
}

export const FILE_EXAMPLES: readonly FileExample[] = [
  {
    name: 'count.py',
    text: [
      'import sys',
      'from collections import Counter',
      '',
      '',
      'def words(lines):',
      '    for line in lines:',
      '        yield from line.lower().split()',
      '',
      '',
      "if __name__ == '__main__':",
      '    for word, count in Counter(words(sys.stdin)).most_common(10):',
      "        print(f'{count:6d}  {word}')",
      '',
    ].join('\n'),
  },
  {
    name: 'page.html',
    text: [
      '<!doctype html>',
      '<html lang="en">',
      '  <head>',
      '    <meta charset="utf-8">',
      '    <title>Opening hours</title>',
      '  </head>',
      '  <body>',
      '    <h1>Opening hours</h1>',
      '    <p>Monday to Friday, 9 to 17.</p>',
      '  </body>',
      '</html>',
      '',
    ].join('\n'),
  },
  {
    name: 'build.sh',
    text: [
      '#!/bin/sh',
      'set -eu',
      'for file in src/*.c; do',
      '  echo "compiling $file"',
      '  cc -O2 -Wall -c "$file" -o "build/$(basename "$file" .c).o"',
      'done',
      'cc build/*.o -o build/program',
      '',
    ].join('\n'),
  },
]

/**
 * Which parts of a file are sent: all of it, or, where it is too large, its beginning and its end. Models of this task look
 * at the beginning and the end, and some at the middle.
 */
export function partsOf(bytes: number, most: number): readonly (readonly [from: number, to: number])[] {
  if (bytes <= most) return [[0, bytes]]
  const half = Math.floor(most / 2)
  return [
    [0, half],
    [bytes - half, bytes],
  ]
}
