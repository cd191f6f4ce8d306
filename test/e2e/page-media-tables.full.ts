import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import {
  answerTo,
  bring,
  choose,
  given,
  openModel,
  startMediaWorker,
  workersAnswer,
} from '../fixtures/node/media-worker.ts'

let worker: LiveWorker
beforeAll(async () => {
  worker = await startMediaWorker()
}, 300_000)
afterAll(() => worker?.dispose())

const answers = (page: Page): Promise<string[]> => page.locator('.table-answer').allInnerTexts()
const cell = (page: Page, column: string, row: number) => page.getByLabel(`${column}, row ${row}`, { exact: true })
const run = (page: Page) => page.getByRole('button', { name: 'Run', exact: true })

/** Pastes a text into the field that has the focus, as the browser tells the page of it. */
async function pasteText(page: Page, text: string): Promise<void> {
  await page.evaluate(`{
    const transfer = new DataTransfer()
    transfer.setData('text/plain', ${JSON.stringify(text)})
    const init = { bubbles: true, cancelable: true, clipboardData: transfer }
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', init))
  }`)
}

describeInChromium('panels of tables', (browser) => {
  it('classify the rows of the example at once, as the Worker does', async () => {
    const page = await openModel(browser, worker, 'fruit')
    expect(await answerTo(page)).toBe('2 answers, beside the numbers of the rows.')
    const csv = new TextEncoder().encode('colour,weight,seeds\nred,120,5\nyellow,900,300\n')
    const direct = (await workersAnswer(worker, 'fruit', csv, 'text/csv')) as string[]
    const shown = await answers(page)
    expect(shown.map((text) => text.split(',')[0])).toEqual(direct)
    await cell(page, 'colour', 2).focus()
    await page.getByRole('heading', { name: 'Row 2' }).waitFor()
    await expect
      .poll(() => page.locator('.media-answer .bars-value').first().innerText())
      .toBe(shown[1]?.split(', ')[1])
    await shots(page, 'media-table')
    await accessible(page)
    await page.getByText('Scores of all classes').click()
    await answerTo(page)
    await expect.poll(() => answers(page)).toEqual(direct)
  })

  it('check each cell by the type of its column, and forget what was said of other cells', async () => {
    const page = await openModel(browser, worker, 'fruit')
    await answerTo(page)
    await cell(page, 'seeds', 1).fill('3.5')
    await page.getByText('Row 1, column seeds: Write a whole number.').waitFor()
    await expect.poll(() => run(page).isDisabled()).toBe(true)
    await expect.poll(() => cell(page, 'seeds', 1).getAttribute('aria-invalid')).toBe('true')
    await expect.poll(() => page.locator('.table-answer').count()).toBe(0)
    await shots(page, 'media-table-wrong')
    await accessible(page)
    await cell(page, 'seeds', 1).fill('3')
    await cell(page, 'weight', 2).fill('heavy')
    await page.getByText('Row 2, column weight: Write a number, or leave the cell empty.').waitFor()
    await cell(page, 'weight', 2).fill('1e3')
    await answerTo(page)
    await expect.poll(() => answers(page)).toHaveLength(2)
  })

  it('add and remove rows, and move between them by keyboard', async () => {
    const page = await openModel(browser, worker, 'sum')
    await page.getByRole('button', { name: 'Remove row 2' }).click()
    await page.getByRole('button', { name: 'Add a row' }).click()
    await cell(page, 'a', 1).fill('1')
    await page.keyboard.press('Tab')
    await page.keyboard.type('2')
    await page.keyboard.press('Tab')
    await page.keyboard.type('3')
    await page.keyboard.press('Enter')
    await page.keyboard.type('100')
    await cell(page, 'a', 2).fill('-4.5')
    await cell(page, 'b', 2).fill('0.25')
    await page.keyboard.press('ArrowUp')
    await expect.poll(() => page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('b, row 1')
    await answerTo(page)
    // 2 a - 3 b + 0.5 c + 10.
    await expect.poll(() => answers(page)).toEqual([`${2 - 6 + 1.5 + 10}`, `${-9 - 0.75 + 50 + 10}`])
  })

  it('take cells from a spreadsheet, with their names and without', async () => {
    const page = await openModel(browser, worker, 'sum')
    await cell(page, 'b', 1).focus()
    await pasteText(page, '2\t3\r\n5\t6\r\n8\t9\r\n')
    await expect.poll(() => page.locator('tbody tr').count()).toBe(3)
    await cell(page, 'a', 3).fill('7')
    await answerTo(page)
    expect((await answers(page))[2]).toBe(`${14 - 24 + 4.5 + 10}`)
    await cell(page, 'b', 2).focus()
    await pasteText(page, 'c\ta\tb\n2\t1\t0\n')
    await answerTo(page)
    await expect.poll(() => answers(page)).toEqual(['13'])
    await cell(page, 'c', 1).focus()
    await pasteText(page, '1\t2\n')
    await page.getByRole('alert').filter({ hasText: 'there is 1 from here on. Paste them further left.' }).waitFor()
  })

  it('open CSV files, and say what is wrong with one', async () => {
    const page = await openModel(browser, worker, 'fruit')
    const german = given('obst.csv', 'text/csv', '\ufeffseeds;colour;weight\r\n7;grün;130.5\r\n210;red;\r\n')
    await choose(page, 'Open a CSV file', german)
    // The table of the example has such a cell too, until the file has been read.
    await expect.poll(() => cell(page, 'colour', 1).inputValue()).toBe('grün')
    await expect.poll(() => cell(page, 'weight', 2).inputValue()).toBe('')
    await cell(page, 'weight', 2).fill('1')
    await answerTo(page)
    await expect.poll(() => answers(page)).toHaveLength(2)
    const files = [
      ['colour,weight\nred,1\n', /The first line has no column "seeds"/],
      ['colour,weight,seeds,price\nred,1,2,3\n', /The model takes no column "price"/],
      ['colour,weight,seeds\n"red,1,2\n', /line 2: a quote is not closed/],
      [`colour,weight,seeds\n${'red,1,2\n'.repeat(4097)}`, /A table may have at most 4096 rows/],
      [Uint8Array.of(0x63, 0xff, 0xfe), /is not text in UTF-8 or UTF-16/],
    ] as const
    for (const [content, message] of files) {
      await choose(page, 'Open a CSV file', given('bad.csv', 'text/csv', content))
      await page.getByRole('alert').filter({ hasText: message }).waitFor()
    }
    // The table is as it was.
    await expect.poll(() => cell(page, 'colour', 1).inputValue()).toBe('grün')
    const many = `colour,weight,seeds\n${Array.from({ length: 120 }, (_, i) => `red,${i},2\n`).join('')}`
    await bring(page, 'drop', given('many.csv', 'text/csv', many))
    await page.getByText('Rows 1 to 50 of 120').waitFor()
    await expect.poll(() => page.getByRole('alert').count()).toBe(0)
    await page.getByRole('button', { name: 'Rows after' }).click()
    await page.getByRole('button', { name: 'Rows after' }).click()
    await expect.poll(() => cell(page, 'weight', 120).inputValue()).toBe('119')
    expect(await answerTo(page)).toBe('120 answers, beside the numbers of the rows.')
  })
})

describeInChromium('the panel of files', (browser) => {
  it('says what the examples are, and any file', async () => {
    const page = await openModel(browser, worker, 'first-byte')
    expect(await answerTo(page)).toBe('python, 100 %')
    await page.getByRole('button', { name: 'page.html' }).click()
    expect(await answerTo(page)).toBe('html, 100 %')
    await shots(page, 'media-file')
    await accessible(page)
    // A file of this type would be read as a request, if it were sent under its own type.
    await choose(page, 'Choose a file', given('run.json', 'application/json', '#!/bin/sh\n'))
    await page.getByText('run.json, 10 bytes').waitFor()
    expect(await answerTo(page)).toBe('shell, 100 %')
    await choose(page, 'Choose a file', given('nothing.bin', '', ''))
    await page.getByRole('alert').filter({ hasText: 'The file "nothing.bin" is empty. Choose another one.' }).waitFor()
    await bring(page, 'drop', given('large.py', 'text/x-python', Buffer.alloc(17 * 2 ** 20, 'import sys\n')))
    await page
      .getByText(/^The file has 17 MiB, and a request may have 16 MiB\. Only its beginning and its end/)
      .waitFor()
    expect(await answerTo(page)).toBe('python, 100 %')
  })
})
