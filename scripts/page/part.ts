import type { AssetsPart } from '../assets/part.ts'
import { bundlePage } from './bundle.ts'

const SOURCES = ['page', 'src/client', 'src/core', 'src/media', 'scripts/page', 'package-lock.json']

/** The playground. */
export const PAGE_PART: AssetsPart = {
  name: 'page',
  sources: SOURCES,
  atRoot: ['_headers', 'index.html'],
  build: (folder) => bundlePage(folder, SOURCES),
}
