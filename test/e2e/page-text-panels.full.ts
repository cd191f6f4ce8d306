import { afterAll, beforeAll, expect, it } from 'vitest'
import { percentage } from '../../page/media/percentage.ts'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import { barsIn, startTextPage } from '../fixtures/node/text-page.ts'

describeInChromium('panels that take texts', (browser) => {
  let worker: LiveWorker
  beforeAll(async () => {
    worker = await startTextPage()
  })
  afterAll(() => worker?.dispose())

  const open = async (model: string) => {
    const page = await browser.open(`${worker.url}/#/${model}`)
    const answer = page.getByRole('region', { name: 'Answer' })
    const run = async () => {
      await page.getByRole('button', { name: 'Run', exact: true }).click()
      await answer.waitFor()
    }
    return { page, answer, run }
  }

  /** What the Worker itself answers. */
  const asked = async (path: string, body: object): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(worker.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return response.json()
  }

  it('classify a review, by its example and by what a visitor types', async () => {
    const { page, run } = await open('reviews')
    await run()
    const inputs = await page.getByLabel('Text').inputValue()
    const labels = (await asked('/run/reviews', { inputs })) as { label: string; score: number }[]
    const percent = labels.map(({ label, score }) => [label, percentage(score)])
    expect(await barsIn(page)).toEqual(percent)
    expect(percent[0]?.[0]).toBe('positive')
    await page.getByRole('status').getByText(`positive, ${percent[0]?.[1]}`).waitFor()
    await page.getByLabel('Text').fill('A waste of an evening: dull, loud and far too long.')
    // It is not the answer to this text.
    await expect.poll(() => barsIn(page)).toEqual([])
    await page.keyboard.press('Control+Enter')
    await expect.poll(async () => (await barsIn(page))[0]?.[0]).toBe('negative')
    await shots(page, 'text-classification')
    await accessible(page)
  })

  it('need a text before they run', async () => {
    const { page } = await open('reviews')
    await page.getByLabel('Text').fill('  ')
    await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isDisabled()).toBe(true)
    await expect.poll(() => page.getByText('Type a text first.').isVisible()).toBe(true)
    await page.getByRole('button', { name: /Two hours of my life/ }).click()
    await expect.poll(() => page.getByLabel('Text').inputValue()).toContain('Two hours of my life')
    expect(await page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true)
  })

  it('choose among labels of the visitor', async () => {
    const { page, run } = await open('judge')
    await page.getByLabel('Text').fill('the price of money')
    for (const label of ['delivery', 'price', 'quality']) {
      await page.getByRole('button', { name: `Remove the label ${label}` }).click()
    }
    await expect.poll(() => page.getByText('Add a label first.').isVisible()).toBe(true)
    await page.getByLabel('New label').fill('music')
    await page.keyboard.press('Enter')
    await page.getByLabel('New label').pressSequentially('travel,')
    await page.getByLabel('New label').fill('money')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await run()
    expect((await barsIn(page)).map(([label]) => label)).toEqual(['money', 'travel', 'music'])
    await page.getByLabel('Several labels may be right').check()
    await run()
    const parameters = { candidate_labels: ['music', 'travel', 'money'], multi_label: true }
    const { labels, scores } = (await asked('/run/judge', { inputs: 'the price of money', parameters })) as {
      labels: string[]
      scores: number[]
    }
    await expect.poll(() => barsIn(page)).toEqual(labels.map((label, i) => [label, percentage(scores[i] ?? 0)]))
    await shots(page, 'zero-shot')
    await accessible(page)
  })

  it('mark entities in the text, behind an emoji too', async () => {
    const { page, answer, run } = await open('names')
    await page.getByLabel('Text').fill('💡 Ada Lovelace wrote to Charles in London.')
    await run()
    await expect
      .poll(() => answer.locator('mark').allInnerTexts())
      .toEqual(['Ada LovelacePER', 'CharlesPER', 'LondonLOC'])
    await expect
      .poll(() => answer.locator('.marked').innerText())
      .toBe('💡 Ada LovelacePER wrote to CharlesPER in LondonLOC.')
    await expect.poll(() => answer.getByRole('row').nth(1).innerText()).toMatch(/^Ada Lovelace\s+PER\s+\d+\.\d %$/)
    await page.getByLabel('Text').fill('The first program.')
    await run()
    await answer.getByText('The model found no entities.').waitFor()
    await page.getByLabel('Text').fill('💡 Ada Lovelace wrote to Charles in London.')
    await run()
    await expect.poll(() => answer.locator('mark').count()).toBe(3)
    await shots(page, 'entities')
    await accessible(page)
  })

  it('answer a question from a text, and mark the answer', async () => {
    const { page, answer, run } = await open('reader')
    await page.getByLabel('Question').fill('Who wrote?')
    await page.getByLabel('Text that has the answer').fill('💡 The first program: Ada Lovelace wrote to Charles.')
    await run()
    await expect.poll(() => answer.locator('.text-best').innerText()).toBe('Ada Lovelace')
    await expect.poll(() => answer.locator('mark').allInnerTexts()).toEqual(['Ada Lovelace'])
    expect((await barsIn(page)).length).toBe(3)
    await shots(page, 'question-answering')
    await accessible(page)
  })

  it('propose words for each mask of a text', async () => {
    const { page, run } = await open('filler')
    await run()
    const inputs = await page.getByLabel('Text').inputValue()
    expect(inputs).toContain('[MASK]')
    await page.getByText('[MASK] stands in place of each word to find.').waitFor()
    const proposals = (await asked('/run/filler', { inputs })) as {
      token_str: string
      score: number
      sequence: string
    }[]
    expect(proposals).toHaveLength(5)
    await expect
      .poll(() => barsIn(page))
      .toEqual(proposals.map(({ score, token_str }) => [token_str, percentage(score)]))
    await page
      .getByRole('region', { name: 'Answer' })
      .getByText(proposals[0]?.sequence ?? '', { exact: true })
      .waitFor()
    await page.getByLabel('Text').fill('A [MASK] film and a [MASK] evening.')
    await run()
    await page.getByText('Word 2').waitFor()
    expect(await barsIn(page)).toHaveLength(10)
    await shots(page, 'fill-mask')
    await accessible(page)
  })

  it('compare each sentence with each', async () => {
    const { page, answer, run } = await open('minilm')
    const sentences = ['How do I get my money back?', 'Refunds are paid within a week.', 'The cat sleeps.']
    await page.getByLabel('Sentences').fill(sentences.join('\n'))
    await run()
    const vectors = (await asked('/v1/embeddings', { model: 'minilm', input: sentences })) as {
      data: { embedding: number[] }[]
    }
    const unit = vectors.data.map(({ embedding }) => embedding)
    const expected = unit.map((a) =>
      unit.map((b) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0).toFixed(2)),
    )
    const rows = await answer.locator('tbody tr').all()
    const shown = await Promise.all(rows.map((row) => row.locator('td').allInnerTexts()))
    expect(shown).toEqual(expected)
    await expect.poll(() => answer.getByText('3 vectors of 32 numbers').isVisible()).toBe(true)
    await shots(page, 'embeddings')
    await accessible(page)
  })

  it('compare sentences by sparse and by token vectors', async () => {
    const { page, answer, run } = await open('m3')
    const sentences = ['A quiet film.', 'The film is quiet, and long.']
    await page.getByLabel('Sentences').fill(sentences.join('\n'))
    await run()
    await answer.getByText('2 vectors of 32 numbers').waitFor()
    const shown = async () => {
      const rows = await answer.locator('tbody tr').all()
      return Promise.all(rows.map((row) => row.locator('td').allInnerTexts()))
    }

    await page.getByLabel('Sparse').check()
    await run()
    await answer.getByText('Weights of tokens').waitFor()
    const sparse = (await asked('/run/m3', { inputs: sentences, kinds: ['sparse'] })) as {
      sparse: { indices: number[]; values: number[] }
    }[]
    const maps = sparse.map(({ sparse: { indices, values } }) => new Map(indices.map((id, i) => [id, values[i] ?? 0])))
    const products = maps.map((a) =>
      maps.map((b) => [...a].reduce((sum, [id, weight]) => sum + weight * (b.get(id) ?? 0), 0).toFixed(2)),
    )
    await expect.poll(shown).toEqual(products)
    const [[token, weight] = [0, 0]] = [...(maps[0] ?? [])].sort((a, b) => b[1] - a[1])
    expect((await barsIn(page))[0]).toEqual([`Token ${token}`, weight.toFixed(2)])
    await shots(page, 'sparse-vectors')
    await accessible(page)

    await page.getByLabel('One vector per token').check()
    await run()
    await answer.getByText('MaxSim of each pair').waitFor()
    const tokens = (await asked('/run/m3', { inputs: sentences, kinds: ['tokens'] })) as {
      tokens: { vectors: number[][] }
    }[]
    const dot = (a: readonly number[], b: readonly number[]) =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
    const maxSims = tokens.map(({ tokens: { vectors: query } }) =>
      tokens.map(({ tokens: { vectors } }) =>
        query.reduce((sum, one) => sum + Math.max(...vectors.map((other) => dot(one, other))), 0).toFixed(2),
      ),
    )
    await expect.poll(shown).toEqual(maxSims)
    await shots(page, 'token-vectors')
    await accessible(page)
  })

  it('compare a sentence with others', async () => {
    const { page, run } = await open('similar')
    await run()
    const inputs = {
      source_sentence: await page.getByLabel('Sentence', { exact: true }).inputValue(),
      sentences: (await page.getByLabel('Compare it with').inputValue()).split('\n'),
    }
    const scores = (await asked('/run/similar', { inputs })) as number[]
    expect((await barsIn(page)).map(([, value]) => value)).toEqual(scores.map((score) => score.toFixed(3)))
    await shots(page, 'similarity')
    await accessible(page)
  })

  it('put documents in the order of their relevance', async () => {
    const { page, run } = await open('ranker')
    await page.getByLabel('Question').fill('who?')
    await page.getByLabel('Documents').fill('the music\nmoney money\n\ntravel and travel')
    await run()
    const ranked = await barsIn(page)
    expect(ranked.map(([label]) => label)).toEqual(['1. money money', '2. travel and travel', '3. the music'])
    const long = 'Money, and how to get it back from a shop that has closed since, '.repeat(6)
    await page.getByLabel('Documents').fill(`the music\n${long}`)
    await run()
    await expect.poll(() => barsIn(page)).toHaveLength(2)
    await shots(page, 'ranking')
    await accessible(page)
  })
})
