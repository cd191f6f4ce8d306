import { readFile } from 'node:fs/promises'
import { createClient, VergeError } from 'verge/client'

const verge = createClient({
  url: process.env.VERGE_URL ?? 'http://127.0.0.1:8787',
  // Only private models need a key: that of the operator, from the environment and never from the code.
  key: process.env.VERGE_API_KEY,
})

// A task: bytes in, labels out.
const picture = await readFile(process.argv[2] ?? new URL('../../models/digits/samples/seven.png', import.meta.url))
const [label] = await verge.classify('digits', picture, { parameters: { top_k: 1 } })
console.log('The picture shows', label?.label, 'with a score of', label?.score.toFixed(3))

// The same model past its task, on tensors. They travel as bytes: 28 by 28 pixels, with a stroke like that of a 1.
const pixels = new Float32Array(28 * 28)
for (let row = 4; row < 24; row++) pixels.fill(1, row * 28 + 13, row * 28 + 16)
const { outputs } = await verge.infer('digits', { image: { shape: [1, 1, 28, 28], data: pixels } })
const logits = outputs.logits?.data
if (!(logits instanceof Float32Array)) throw new Error('The model "digits" answered no logits.')
console.log('The tensor shows', logits.indexOf(Math.max(...logits)), 'by', logits.length, 'logits')

// A text, part by part as the model writes it.
for await (const { text } of verge.chat('abacus', 'What is 27 plus 58?')) process.stdout.write(text)
console.log()

// Every method rejects with a VergeError: its message says what to do, its code is for programs.
try {
  await verge.classify('no-such-model', picture)
} catch (error) {
  if (!(error instanceof VergeError)) throw error
  console.log('Refused:', error.code, error.status)
}
