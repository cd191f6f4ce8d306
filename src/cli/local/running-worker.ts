import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { writeWhole } from '../files/whole-file.ts'

/** Beside wrangler's own folders. */
const fileIn = (persistTo: string): string => join(persistTo, 'verge-worker.json')

const schema = z.object({ url: z.string(), pid: z.number().int().positive() })

/** Notes in a storage folder which Worker reads it, for as long as this process lives. @returns takes the note away */
export async function noteWorker(persistTo: string, url: string): Promise<() => Promise<void>> {
  await writeWhole(fileIn(persistTo), JSON.stringify({ url, pid: process.pid }))
  return async () => {
    // another may have taken its place meanwhile
    const noted = await readNote(persistTo)
    if (noted?.pid === process.pid) await rm(fileIn(persistTo), { force: true })
  }
}

/** Address of the Worker that reads a storage folder; undefined if none is known to run. */
export async function workerReading(persistTo: string): Promise<string | undefined> {
  const noted = await readNote(persistTo)
  return noted !== undefined && isAlive(noted.pid) ? noted.url : undefined
}

async function readNote(persistTo: string): Promise<z.infer<typeof schema> | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(fileIn(persistTo), 'utf8')))
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // it lives, and belongs to another user
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
