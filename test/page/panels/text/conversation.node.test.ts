import { describe, expect, it } from 'vitest'
import { checkSettings, messagesOf, noteOf } from '../../../../page/panels/text/conversation.ts'

const check = (temperature: string, maxTokens: string, contextLength: number | undefined = 256) =>
  checkSettings({ system: '', temperature, maxTokens }, contextLength)

describe('checkSettings', () => {
  it('leaves what is empty to the model', () => {
    expect(check(' ', '')).toEqual({ parameters: {}, problem: undefined })
    expect(check('0', '64')).toEqual({ parameters: { temperature: 0, max_tokens: 64 }, problem: undefined })
    expect(check('0.7', '', undefined)).toEqual({ parameters: { temperature: 0.7 }, problem: undefined })
  })

  it.each(['-1', '2.5', 'warm', 'NaN'])('says what a temperature of %s should be', (temperature) => {
    expect(check(temperature, '').problem).toContain('from 0 to 2')
  })

  it.each(['0', '1.5', '257', 'many'])('says what a maximum of %s should be', (maxTokens) => {
    expect(check('', maxTokens).problem).toContain('from 1 to 256')
  })
})

describe('noteOf', () => {
  it('says what a reader has to know of an answer', () => {
    expect(noteOf('stop')).toBeUndefined()
    expect(noteOf('length')).toContain('maximum')
    expect(noteOf(undefined)).toBe('Not complete.')
  })
})

describe('messagesOf', () => {
  it('are the system prompt, what was said, and what is asked', () => {
    const said = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ] as const
    expect(messagesOf('be brief', said, 'c').map(({ content }) => content)).toEqual(['be brief', 'a', 'b', 'c'])
    // Notes are for readers, not for the model.
    const noted = { role: 'assistant', content: 'b', note: 'Not complete.' } as const
    expect(messagesOf('', [noted], 'c')[0]).toEqual({ role: 'assistant', content: 'b' })
    expect(messagesOf('  ', [], 'c')).toEqual([{ role: 'user', content: 'c' }])
  })
})
