import { readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/**
 * Folders of a process are named `<kind>-<host>-<pid>-<random>`, so that leftovers of a killed process can be
 * distinguished from folders in use, on this machine or on another that shares the disk.
 */
const OWNED = /^([a-z]+)-(.*)-(\d+)-([0-9a-f]+)$/

export function ownedDirName(kind: string, random: string): string {
  const name = `${kind}-${hostname()}-${process.pid}-${random}`
  named.add(name)
  return name
}

/** A restarted container has the host name and the process id of the dead one. */
const named = new Set<string>()

export function isOfThisMachine(name: string): boolean {
  return OWNED.exec(name)?.[2] === hostname()
}

/** Removes the folders of one kind that belong to a dead process of this machine. */
export async function removeStaleDirs(folder: string, kind: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, ofKind, host, pid] = OWNED.exec(name) ?? []
    if (ofKind !== kind || host !== hostname() || isInUse(name, Number(pid))) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

function isInUse(name: string, pid: number): boolean {
  if (pid === process.pid) return named.has(name)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
