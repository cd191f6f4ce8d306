import type { Limits } from '../../core/limits.ts'
import type { ChunkInfo } from '../blob.ts'
import type { WantedPage } from './page-layer.ts'

/** What a chunk has of a page: all of it, unless the chunks were cut elsewhere than between pages. */
export interface PagePart {
  readonly page: WantedPage
  /** Within the chunk. */
  readonly from: number
  readonly bytes: number
  /** Within the page. */
  readonly at: number
}

/** Bytes of a chunk that are read at once, with the parts of pages in them. */
export interface PageRange {
  /** Of the chunk. */
  readonly sha256: string
  readonly from: number
  readonly to: number
  readonly parts: readonly PagePart[]
}

type RangeLimits = Pick<Limits, 'pageGapBytes' | 'pageRangeBytes'>

/** Ranges that hold all pages: neighbours, and those with a small gap between them, are read together. */
export function rangesOf(chunks: readonly ChunkInfo[], pages: readonly WantedPage[], limits: RangeLimits): PageRange[] {
  const inOrder = [...pages].sort((a, b) => a.offset - b.offset)
  const ranges: PageRange[] = []
  let begin = 0
  let first = 0
  for (const chunk of chunks) {
    const end = begin + chunk.bytes
    while (first < inOrder.length && endOf(inOrder[first] as WantedPage) <= begin) first++
    const parts: PagePart[] = []
    for (let i = first; i < inOrder.length; i++) {
      const page = inOrder[i] as WantedPage
      if (page.offset >= end) break
      const from = Math.max(page.offset, begin)
      const to = Math.min(endOf(page), end)
      if (to > from) parts.push({ page, from: from - begin, bytes: to - from, at: from - page.offset })
    }
    ranges.push(...merged(chunk.sha256, parts, limits))
    begin = end
  }
  return ranges
}

function merged(
  sha256: string,
  parts: readonly PagePart[],
  { pageGapBytes, pageRangeBytes }: RangeLimits,
): PageRange[] {
  const ranges: { sha256: string; from: number; to: number; parts: PagePart[] }[] = []
  for (const part of parts) {
    const end = part.from + part.bytes
    const last = ranges.at(-1)
    if (last && part.from - last.to <= pageGapBytes && end - last.from <= pageRangeBytes) {
      last.parts.push(part)
      last.to = Math.max(last.to, end)
    } else ranges.push({ sha256, from: part.from, to: end, parts: [part] })
  }
  return ranges
}

function endOf({ offset, bytes }: WantedPage): number {
  return offset + bytes
}
