import type { AssetsPart } from '../assets/part.ts'
import { bundlePage } from './bundle.ts'

/** The playground. */
export const PAGE_PART: AssetsPart = {
  name: 'page',
  sources: ['page', 'src/client', 'scripts/page', 'package-lock.json'],
  atRoot: ['_headers', 'index.html'],
  build: bundlePage,
}
