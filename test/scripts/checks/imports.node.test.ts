import { describe, expect, it } from 'vitest'
import { importCycles } from '../../../scripts/checks/import-cycles.ts'
import { violations } from '../../../scripts/checks/import-rules.ts'
import { importsOf } from '../../../scripts/checks/module-imports.ts'

describe('the direction of imports', () => {
  it('is downwards: what is allowed passes', () => {
    for (const [path, source] of [
      ['src/http/a.ts', "import { x } from '../core/errors.ts'\nimport { Hono } from 'hono'"],
      ['src/http/oip/a.ts', "export * from './b.ts'\nimport type { S } from '../../serving/serving.ts'"],
      ['src/engine/ort/a.ts', "import f from 'onnxruntime-web/ort.mjs'\nimport '../engine.ts'"],
      ['src/http/a.ts', "import { type Limits, PLATFORM } from '../core/limits.ts'"],
      ['src/origin/limits.ts', "import { LIMITS, type Limits } from '../core/limits.ts'"],
      ['src/cli/push/a.ts', "import { LIMITS } from '../../core/limits.ts'"],
      ['bench/lib/a.ts', "import { onnxModel } from '../../synthetic/onnx.ts'\nimport { join } from 'node:path'"],
      ['page/a.tsx', "import type { Status } from '../src/protocols/status.ts'\nimport { render } from 'preact'"],
      ['page/ui/a.tsx', "import { createClient } from '../../src/client/index.ts'\nimport { b } from '../b.ts'"],
      ['test/scripts/checks/a.node.test.ts', "import { summarise } from '../../../scripts/checks/test-report.ts'"],
    ] as const) {
      expect(violations(path, source)).toEqual([])
    }
  })

  it('finds each kind of wrong import', () => {
    for (const [path, source] of [
      ['src/core/a.ts', "import { x } from '../http/status.ts'"],
      ['src/engine/a.ts', "import type {\n  X,\n} from '../serving/serving.ts'"],
      ['src/catalog/a.ts', "export { x } from '../engine/engine.ts'"],
      ['src/serving/a.ts', "const x = await import('../http/body.ts')"],
      ['src/serving/a.ts', "let x: import('../http/body.ts').Body"],
      ['src/weights/a.ts', "import '../catalog/reader.ts'"],
      ['src/worker.ts', "import { NativeEngine } from './engine/native/engine.ts'"],
      ['src/http/oip/a.ts', "import { OrtEngine } from '../../engine/ort/engine.ts'"],
      ['src/serving/a.ts', "import { pack } from '../../src/cli/pack/packer.ts'"],
      ['src/serving/a.ts', "import { seed } from '../../scripts/seed.ts'"],
      ['src/serving/a.ts', "import { readFile } from 'node:fs/promises'"],
      ['src/core/a.ts', 'import { Hono } from "hono"'],
      ['src/attic/a.ts', ''],
      ['page/a.tsx', "import { STATUS } from '../src/protocols/status.ts'"],
      ['page/a.tsx', "import type { Manifest } from '../src/catalog/manifest.ts'"],
      ['page/a.tsx', "import React from 'react'"],
      ['bench/a.ts', "import { cases } from '../test/e2e/cases.ts'"],
      ['scripts/a.ts', "import { wav } from '../synthetic/wav.ts'"],
      ['bench/a.ts', "import { http } from '../test/fixtures/http.ts'"],
      ['test/media/a.worker.test.ts', "import { jpeg } from '../../synthetic/node/jpeg.ts'"],
      ['test/media/cases.ts', ''],
      ['src/http/a.ts', "import { LIMITS, type Limits } from '../core/limits.ts'"],
      ['src/http/a.ts', "import * as limits from '../core/limits.ts'"],
      ['src/core/a.ts', "export { LIMITS } from './limits.ts'"],
      ['src/origin/a.ts', "const { LIMITS } = await import('../core/limits.ts')"],
      ['test/fixtures/a.ts', "import { cases } from '../contract/cases.ts'"],
    ] as const) {
      expect({ path, source, found: violations(path, source).length }).toEqual({ path, source, found: 1 })
    }
  })

  it('is read from the syntax, not from texts that look like an import', () => {
    const source = `const text = "import { x } from '../http/body.ts'"\n// import('../http/body.ts')\nawait import(text)`
    expect(importsOf('src/core/a.ts', source)).toEqual([])
    expect(() => importsOf('src/core/a.ts', 'import {')).toThrow(SyntaxError)
  })
})

describe('cycles of imports', () => {
  const cyclesOf = (sources: Readonly<Record<string, string>>) => {
    const graph = Object.entries(sources).map(([path, source]) => {
      const byValue = importsOf(path, source).filter((one) => one.byValue)
      return [path, byValue.flatMap(({ target }) => target ?? [])] as const
    })
    return importCycles(new Map(graph))
  }

  it('are found by value, with the modules on the way', () => {
    const found = cyclesOf({
      'src/entry.ts': "import './a/a.ts'\nimport './self.ts'",
      'src/a/a.ts': "import { b } from '../b.ts'\nimport './long.ts'",
      'src/a/long.ts': "import '../b.ts'",
      'src/b.ts': "export * from './a/a.ts'",
      'src/self.ts': "import { type X } from './self.ts'",
    })
    expect(found).toEqual([
      ['src/a/a.ts', 'src/b.ts', 'src/a/a.ts'],
      ['src/a/long.ts', 'src/b.ts', 'src/a/a.ts', 'src/a/long.ts'],
      ['src/self.ts', 'src/self.ts'],
    ])
  })

  it('are not made by types, or by what is imported later', () => {
    const found = cyclesOf({
      'src/a.ts': "import { b } from './b.ts'",
      'src/b.ts': "import type { A } from './a.ts'\nexport type { A } from './a.ts'\nconst a = () => import('./a.ts')",
    })
    expect(found).toEqual([])
  })
})
