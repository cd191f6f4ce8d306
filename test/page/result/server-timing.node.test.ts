import { describe, expect, it } from 'vitest'
import { parseServerTiming } from '../../../page/result/server-timing.ts'

describe('parseServerTiming', () => {
  it("reads the Worker's header", () => {
    expect(parseServerTiming('load;dur=31.5, queue;dur=0.25, run;dur=4')).toEqual([
      { name: 'load', ms: 31.5, description: undefined },
      { name: 'queue', ms: 0.25, description: undefined },
      { name: 'run', ms: 4, description: undefined },
    ])
  })

  it('reads descriptions with commas, semicolons and escapes, in any order and case', () => {
    expect(parseServerTiming('cdn;Desc="a, b; \\"c\\"";DUR=1 , miss,edge; dur = 2')).toEqual([
      { name: 'cdn', ms: 1, description: 'a, b; "c"' },
      { name: 'miss', ms: undefined, description: undefined },
      { name: 'edge', ms: 2, description: undefined },
    ])
  })

  it('takes the first of two equal parameters, as browsers do', () => {
    expect(parseServerTiming('a;dur=1;dur=2;desc=x;desc=y')).toEqual([{ name: 'a', ms: 1, description: 'x' }])
  })

  it.each([
    ['no header', undefined, []],
    ['an empty one', '', []],
    ['a duration that is not a number', 'run;dur=fast', [undefined]],
    ['a negative duration', 'run;dur=-1', [undefined]],
    ['an infinite duration', 'run;dur=1e999', [undefined]],
    ['what follows a broken entry', 'load;dur=1, "', [1]],
  ])('%s has no other times', (_, header, times) => {
    expect(parseServerTiming(header).map(({ ms }) => ms)).toEqual(times)
  })

  it('reads a long header up to its limit, in linear time', () => {
    expect(parseServerTiming('a;dur=1,'.repeat(100_000))).toHaveLength(32)
    expect(parseServerTiming(`a${';b="'.repeat(20_001)}`)).toEqual([])
    expect(parseServerTiming(`a;desc="${'\\'.repeat(50_000)}`)).toEqual([])
  })
})
