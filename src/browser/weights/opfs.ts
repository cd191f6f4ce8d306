import { type KeptFiles, type KeptWriter, StorageFull } from './kept.ts'

/** As much of the File System API as is used; sync access handles exist in dedicated workers alone. */
export interface SyncHandleLike {
  write(bytes: Uint8Array, options: { readonly at: number }): number
  truncate(bytes: number): void
  getSize(): number
  flush(): void
  close(): void
}

export interface FileHandleLike {
  getFile(): Promise<Blob>
  createSyncAccessHandle?(): Promise<SyncHandleLike>
}

export interface FolderLike {
  getFileHandle(name: string, options?: { readonly create: boolean }): Promise<FileHandleLike>
  removeEntry(name: string): Promise<void>
  keys(): AsyncIterable<string>
}

/**
 * Files in the origin's private file system. A sync access handle locks its file against those of other tabs, and what it has
 * written stays when the tab is closed in the middle of it.
 */
export function opfsFiles(folder: FolderLike): KeptFiles {
  return {
    kind: 'opfs',
    async read(name, mostBytes) {
      const handle = await folder.getFileHandle(name).catch(absent)
      if (handle === null) return null
      const file = await handle.getFile()
      return file.size > mostBytes ? null : new Uint8Array(await file.arrayBuffer())
    },
    async write(name, from) {
      const handle = await folder.getFileHandle(name, { create: true }).catch(full)
      try {
        const access = await handle.createSyncAccessHandle?.()
        if (access === undefined) return null
        // Another tab has removed the beginning. Written from there on, the file would begin with zeros.
        if (access.getSize() >= from) return writerOf(access, from)
        access.close()
        return null
      } catch (error) {
        // Another tab has the file open.
        if (named(error, 'NoModificationAllowedError') || named(error, 'InvalidStateError')) return null
        return full(error)
      }
    },
    async remove(name) {
      await folder.removeEntry(name).catch((error: unknown) => {
        if (!named(error, 'NotFoundError') && !named(error, 'NoModificationAllowedError')) throw error
      })
    },
    async names() {
      const names: string[] = []
      for await (const name of folder.keys()) names.push(name)
      return names
    },
  }
}

function writerOf(access: SyncHandleLike, from: number): KeptWriter {
  let at = from
  const guarded = (work: () => void): void => {
    try {
      work()
    } catch (error) {
      full(error)
    }
  }
  try {
    guarded(() => access.truncate(from))
  } catch (error) {
    access.close()
    throw error
  }
  return {
    append: (bytes) =>
      guarded(() => {
        const written = access.write(bytes, { at })
        // Chromium answers 4,294,967,288 bytes where it has no room: its error, read as a number without a sign.
        if (written !== bytes.length) throw new StorageFull('The file system wrote a part of the bytes.')
        at += written
      }),
    async close() {
      try {
        guarded(() => access.flush())
      } finally {
        access.close()
      }
    },
  }
}

function absent(error: unknown): null {
  if (named(error, 'NotFoundError')) return null
  throw error
}

/** Whatever a file system refuses to write is no reason to fail an answer. */
function full(cause: unknown): never {
  throw cause instanceof StorageFull ? cause : new StorageFull('The file system takes no more.', { cause })
}

function named(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name
}
