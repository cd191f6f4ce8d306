import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { UsageError } from '../terminal/command-line.ts'

const amount = z.number().nonnegative()

const meter = z.strictObject({
  source: z.string(),
  usdPerMillion: amount,
  /** A month, on the paid plan. */
  paidIncluded: amount,
  /** Limits of the free plan; operations beyond them fail. */
  freePerDay: amount.optional(),
  freePerMonth: amount.optional(),
  /** Billed by whole millions. */
  roundsUp: z.boolean().default(false),
})

const storage = z.strictObject({
  source: z.string(),
  usdPerGbMonth: amount,
  included: amount,
  roundsUp: z.boolean().default(false),
})

const plan = z.strictObject({ usdPerMonth: amount, cpuMsPerRequest: amount })

export const METERS = ['requests', 'cpuMs', 'kvReads', 'kvWrites', 'r2ClassA', 'r2ClassB'] as const
export type Meter = (typeof METERS)[number]

const pricesSchema = z.strictObject({
  /** The day on which the sources were read. */
  read: z.iso.date(),
  currency: z.literal('USD'),
  sources: z.record(z.string(), z.url()),
  unverified: z.array(z.string()),
  meters: z.record(z.enum(METERS), meter),
  storage: z.strictObject({ kvGb: storage, r2Gb: storage }),
  plans: z.strictObject({ free: plan, paid: plan }),
})

export type Prices = z.infer<typeof pricesSchema>

const figuresSchema = z.strictObject({
  measured: z.iso.date(),
  machine: z.string(),
  method: z.string(),
  models: z
    .array(
      z.strictObject({
        name: z.string(),
        /** In `models/`: the stored size is then computed by packing the model. */
        folder: z.string().optional(),
        artifactBytes: amount.optional(),
        /** Further files that a load reads, such as a tokenizer. */
        otherBytes: amount.optional(),
        /** CPU of the first request in an isolate, everything included. */
        coldCpuMs: amount,
        warmCpuMs: amount,
        note: z.string().optional(),
      }),
    )
    .min(1),
})

export type Figures = z.infer<typeof figuresSchema>

/** @throws UsageError that names what is wrong */
export function readPrices(file: string): Promise<Prices> {
  return readChecked(file, pricesSchema)
}

/** @throws UsageError that names what is wrong */
export function readFigures(file: string): Promise<Figures> {
  return readChecked(file, figuresSchema)
}

/** @throws UsageError */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

async function readChecked<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const value = await readJson(file)
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `  ${path.join('.') || '(all)'}: ${message}`)
  throw new UsageError(`${file} is invalid:\n${problems.join('\n')}`)
}
