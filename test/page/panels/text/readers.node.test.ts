import { describe, expect, it } from 'vitest'
import {
  readAnswers,
  readEntities,
  readLabels,
  readRanking,
  readScores,
  readVectors,
  readZeroShot,
} from '../../../../page/panels/text/readers.ts'

describe('readers of answers', () => {
  it('read what the documents of the tasks print', () => {
    expect(readLabels([{ label: 'positive', score: 0.98 }])).toEqual([{ label: 'positive', score: 0.98 }])
    expect(readZeroShot({ sequence: 'x', labels: ['b', 'a'], scores: [0.9, 0.1] })).toEqual([
      { label: 'b', score: 0.9 },
      { label: 'a', score: 0.1 },
    ])
    const entity = { score: 0.99, word: 'ada', start: 0, end: 3 }
    expect(
      readEntities([
        { ...entity, entity_group: 'PER' },
        { ...entity, entity: 'B-PER', index: 1 },
      ]),
    ).toEqual([
      { label: 'PER', score: 0.99, start: 0, end: 3 },
      { label: 'B-PER', score: 0.99, start: 0, end: 3 },
    ])
    const answer = { score: 0.9, start: 0, end: 3, answer: 'Ada' }
    expect([readAnswers(answer), readAnswers([answer, answer])]).toEqual([[answer], [answer, answer]])
    expect(readScores([0.5, 0.25])).toEqual([0.5, 0.25])
    expect(readRanking([{ index: 1, relevance_score: 0.7 }])).toEqual([{ index: 1, score: 0.7 }])
    expect(readRanking([{ index: 0, score: 0.7, text: 'x' }])).toEqual([{ index: 0, score: 0.7 }])
  })

  it('read vectors as the client and as the routes give them', () => {
    const vector = Float32Array.of(1, 0.5)
    expect(readVectors([vector, vector])).toEqual([vector, vector])
    expect(readVectors(vector)).toEqual([vector])
    expect(readVectors([1, 0.5])).toEqual([vector])
    expect(readVectors([[1, 0.5]])).toEqual([vector])
    // One vector for each token, which have no place in a map of sentences.
    expect(readVectors([[[1, 0.5]]])).toEqual([])
  })

  it('make nothing of other answers', () => {
    const odd: readonly unknown[] = [
      undefined,
      null,
      'text',
      7,
      {},
      [null],
      [{}],
      [{ label: 1, score: 'x' }],
      { labels: 'x' },
      [{ score: Number.NaN }],
    ]
    for (const output of odd) {
      const lists = [readLabels, readZeroShot, readEntities, readAnswers, readRanking, readVectors].map((read) =>
        read(output),
      )
      expect(lists.flat(), JSON.stringify(output)).toEqual([])
    }
  })
})
