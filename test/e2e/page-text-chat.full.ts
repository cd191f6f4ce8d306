import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { accessible, describeInChromium, shots } from '../fixtures/node/chromium.ts'
import type { LiveWorker } from '../fixtures/node/live-worker.ts'
import { startTextPage } from '../fixtures/node/text-page.ts'

/** What the page adds to the text of an answer, and what a screen reader is told, each with the time at which it happened. */
const WATCH = `
  window.seen = []
  window.said = []
  const text = (selector) => document.querySelector(selector)?.textContent ?? ''
  new MutationObserver(() => {
    const now = performance.now()
    const written = text('.chat-assistant:last-child .chat-content')
    if (written !== '' && written !== window.seen.at(-1)?.written) window.seen.push({ now, written })
    const spoken = text('.chat [role=status]')
    if (spoken !== '' && spoken !== window.said.at(-1)?.spoken) window.said.push({ now, spoken })
  }).observe(document.body, { subtree: true, childList: true, characterData: true })
`

/** When parts of the stream reach the page: the same bytes that the client reads. */
const TAP = `
  window.arrived = []
  const fetched = window.fetch
  window.fetch = async (...request) => {
    const response = await fetched(...request)
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response
    const decoder = new TextDecoder()
    const note = new TransformStream({
      transform(bytes, controller) {
        for (const [, json] of decoder.decode(bytes, { stream: true }).matchAll(/^data: (\\{.*\\})$/gm)) {
          const content = JSON.parse(json).choices[0]?.delta?.content
          if (content) window.arrived.push({ now: performance.now(), content })
        }
        controller.enqueue(bytes)
      },
    })
    return new Response(response.body.pipeThrough(note), response)
  }
`

interface Seen {
  readonly now: number
  readonly written: string
}

describeInChromium('chat', (browser) => {
  let worker: LiveWorker
  beforeAll(async () => {
    worker = await startTextPage()
  })
  afterAll(() => worker?.dispose())

  const open = async (before = ''): Promise<Page> => {
    const page = await browser.open()
    if (before !== '') await page.addInitScript({ content: before })
    await page.goto(`${worker.url}/#/abacus`)
    await page.getByLabel('Message').waitFor()
    return page
  }
  const answers = (page: Page) => page.locator('.chat-assistant .chat-content')

  it('shows each token when it arrives, and reads the whole answer aloud once', async () => {
    const page = await open(TAP)
    await page.evaluate(WATCH)
    await page.getByLabel('Message').fill('What is 27 plus 58?')
    await page.keyboard.press('Enter')
    const answer = '27 plus 58 is 85.'
    await expect.poll(() => page.evaluate('window.said.at(-1)?.spoken')).toBe(answer)
    const [seen, arrived, said] = (await page.evaluate('[window.seen, window.arrived, window.said]')) as [
      Seen[],
      { now: number; content: string }[],
      { spoken: string }[],
    ]
    expect(said.map(({ spoken }) => spoken)).toEqual([answer])
    expect(arrived.length).toBeGreaterThan(5)
    // Each part was on the page after it had arrived; parts that arrived together may appear together.
    let text = ''
    const delays = arrived.map(({ content, now }) => {
      text += content
      const shown = seen.find(({ written }) => written.length >= text.length)
      return (shown?.now ?? Number.POSITIVE_INFINITY) - now
    })
    expect(text).toBe(answer)
    expect(seen.length).toBeGreaterThan(3)
    for (const [i, { written }] of seen.entries())
      expect(answer.startsWith(written), `part ${i}: ${written}`).toBe(true)
    console.log(`From the arrival of a part to the page: ${delays.map((ms) => ms.toFixed(1)).join(', ')} ms`)
    expect(delays.every(Number.isFinite)).toBe(true)
    // How soon depends on the machine; before the rest has arrived does not.
    expect(seen[0]?.now).toBeLessThan(arrived.at(-1)?.now ?? 0)
    await expect.poll(() => page.evaluate('document.activeElement?.ariaLabel')).toBe('Message')
  })

  it('is a conversation, with a system prompt and settings', async () => {
    const page = await open()
    await page.getByText('Settings').click()
    await page.getByLabel('System prompt').fill('You are abacus.')
    await page.getByLabel('Maximum of tokens').fill('40')
    await page.getByRole('button', { name: 'What is 27 plus 58?' }).click()
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['27 plus 58 is 85.'])
    const sent = page.waitForRequest(/chat\/completions/)
    await page.getByLabel('Message').fill('Subtract 9 from 71.')
    await page.keyboard.press('Shift+Enter')
    await expect.poll(() => page.getByLabel('Message').inputValue()).toBe('Subtract 9 from 71.\n')
    await page.keyboard.press('Backspace')
    await page.getByRole('button', { name: 'Send' }).click()
    expect((await sent).postDataJSON()).toMatchObject({
      messages: [
        { role: 'system', content: 'You are abacus.' },
        { role: 'user', content: 'What is 27 plus 58?' },
        { role: 'assistant', content: '27 plus 58 is 85.' },
        { role: 'user', content: 'Subtract 9 from 71.' },
      ],
      temperature: 0,
      max_tokens: 40,
      stream: true,
    })
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['27 plus 58 is 85.', '71 minus 9 is 62.'])
    await shots(page, 'chat')
    await accessible(page)
    await page.getByRole('button', { name: 'New conversation' }).click()
    await expect.poll(() => answers(page).count()).toBe(0)
  })

  it('says what is wrong with a setting', async () => {
    const page = await open()
    await page.getByText('Settings').click()
    await page.getByLabel('Temperature').fill('warm')
    await page.getByRole('alert').getByText('from 0 to 2').waitFor()
    await page.getByLabel('Message').fill('Hello')
    await expect.poll(() => page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true)
  })

  it('stops, and keeps what has arrived', async () => {
    // A text that only ends when it is stopped: the Worker's answer, event for event, with a pause after the third.
    const page = await open()
    const body = (content: string) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`
    await page.evaluate(`
      window.ended = false
      const fetched = window.fetch
      window.fetch = (url, init) => !String(url).includes('chat/completions') ? fetched(url, init) : Promise.resolve(new Response(
        new ReadableStream({
          start(controller) {
            for (const part of ${JSON.stringify(['One', ' two', ' three'].map(body))}) controller.enqueue(new TextEncoder().encode(part))
            init.signal.addEventListener('abort', () => { window.ended = true; controller.error(init.signal.reason) })
          },
        }),
        { headers: { 'content-type': 'text/event-stream' } },
      ))`)
    await page.getByLabel('Message').fill('Count.')
    await page.keyboard.press('Enter')
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['One two three'])
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Send' }).waitFor()
    expect(await page.evaluate('window.ended')).toBe(true)
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['One two three'])
    await expect.poll(() => page.locator('.chat-assistant').getByText('Not complete.').count()).toBe(1)
    await expect.poll(() => page.getByRole('alert').count()).toBe(0)
    // By the keyboard, too.
    await page.getByLabel('Message').fill('Again.')
    await page.keyboard.press('Enter')
    await expect.poll(() => answers(page).count()).toBe(2)
    await page.getByRole('button', { name: 'Stop' }).waitFor()
    await page.getByLabel('Message').press('Escape')
    await page.getByRole('button', { name: 'Send' }).waitFor()
  })

  it('shows a failure, and lets the question be asked again', async () => {
    const page = await open()
    browser.expectProblem(/chat\/completions|503/)
    const failed = { status: 503, json: { error: { code: 'overloaded', message: 'The isolate is full.' } } }
    await page.route(/chat\/completions/, (route) => route.fulfill(failed), { times: 1 })
    await page.getByLabel('Message').fill('What is 27 plus 58?')
    await page.keyboard.press('Enter')
    await page.getByText('The isolate is full.').waitFor()
    await expect.poll(() => page.getByLabel('Message').inputValue()).toBe('What is 27 plus 58?')
    await page.getByRole('button', { name: 'Send' }).click()
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['27 plus 58 is 85.'])
  })

  it('says that an answer broke off, and that it reached its maximum', async () => {
    const page = await open()
    await page.route(
      /chat\/completions/,
      (route) => {
        const event = { choices: [{ index: 0, delta: { content: 'Half of' }, finish_reason: null }] }
        return route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify(event)}\n\n` })
      },
      { times: 1 },
    )
    await page.getByLabel('Message').fill('Tell me.')
    await page.keyboard.press('Enter')
    await page.locator('.chat-assistant').getByText('Not complete.').waitFor()
    await expect.poll(() => answers(page).allInnerTexts()).toEqual(['Half of'])
    await page.getByRole('alert').getByText('The answer is not complete').waitFor()
    await page.getByText('Settings').click()
    await page.getByLabel('Maximum of tokens').fill('3')
    await page.getByRole('button', { name: 'What is 27 plus 58?' }).click()
    await page.locator('.chat-assistant').getByText('Ended at the maximum of tokens.').waitFor()
    expect((await answers(page).allInnerTexts()).length).toBe(2)
  })

  it('continues a text', async () => {
    const page = await open()
    await page.getByLabel('Continue a text').check()
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    const answer = page.getByRole('region', { name: 'Answer' })
    await expect.poll(() => answer.innerText()).toMatch(/^27 plus 58 is\s?85\./)
    await expect.poll(() => page.locator('.text-panel .text-panel [role=status]').innerText()).toMatch(/85\./)
    await shots(page, 'completion')
    await accessible(page)
  })
})
