import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { ROOT } from '../../src/cli/files/project.ts'
import { closureOf } from '../fixtures/node/closure.ts'
import { dockerfileFaults, readDockerfile } from '../fixtures/node/dockerfile.ts'

const versions = z.record(z.string(), z.string())
const packageSchema = z.object({ dependencies: versions, optionalDependencies: versions, devDependencies: versions })

describe('the Dockerfile', () => {
  const TARGETS = ['cpu', 'cuda']
  let text: string

  beforeAll(async () => {
    text = await readFile(join(ROOT, 'deploy/origin/Dockerfile'), 'utf8')
  })

  it('has stages that follow from each other, sources that exist, and images that do not run as root', () => {
    expect(dockerfileFaults(readDockerfile(text), TARGETS, ROOT)).toEqual([])
  })

  it('makes the CPU image if no target is named', () => {
    expect(readDockerfile(text).at(-1)?.as).toBe('cpu')
  })

  it('brings the Node that the project is tested with', async () => {
    const { devDependencies } = packageSchema.parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')))
    const [major] = devDependencies.node?.split('.') ?? []
    expect(text).toContain(`ARG NODE_IMAGE=node:${major}-`)
  })

  it.each([
    ['USER 1000:1000', 'USER root', 'cpu runs as root'],
    ['COPY src ./src', 'COPY sources ./src', 'there is no sources'],
    ['--from=cuda-packages', '--from=cuda-package', 'copies from cuda-package,'],
    ['NODE_IMAGE} AS cpu', 'NODE} AS cpu', 'cpu: no base'],
    ['STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGKILL', 'is not ended by SIGTERM'],
    ['ENTRYPOINT ["node", "scripts/origin.ts"]', 'ENTRYPOINT node scripts/origin.ts', 'is started by a shell'],
    ['NODE_ENV=production', 'VERGE_ORIGIN_KEY=abc', 'a secret would stay in the image'],
    ['ORT_DISABLE_TELEMETRY=1', 'ORT_DISABLE_TELEMETRY=0', 'cuda reports to the maker'],
    ['VOLUME ["/cache"]', 'VOLUME ["/data"]', 'has no volume for its cache'],
  ])('would be found out with %s as %s', (from, to, fault) => {
    expect(text).toContain(from)
    expect(dockerfileFaults(readDockerfile(text.replaceAll(from, to)), TARGETS, ROOT).join('\n')).toContain(fault)
  })

  it('has no instruction that Docker does not know', () => {
    expect(() => readDockerfile(text.replace('WORKDIR', 'WORKDIRS'))).toThrow('no instruction')
  })

  it('holds everything that the origin loads', async () => {
    const { files, packages } = await closureOf(ROOT, 'scripts/origin.ts')
    const copied = [...text.matchAll(/^COPY (\w+) \.\/\1$/gm)].map(([, folder]) => `${folder}/`)
    const ignored = ['scripts/train/']
    expect(copied).toEqual(['src/', 'scripts/'])
    expect(files).toContain('src/engine/process/child.ts')
    const left = [...files].filter(
      (file) => !copied.some((folder) => file.startsWith(folder)) || ignored.some((folder) => file.startsWith(folder)),
    )
    expect(left).toEqual([])
    const manifest = packageSchema.parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')))
    const installed = { ...manifest.dependencies, ...manifest.optionalDependencies }
    // `npm ci --omit=dev`
    expect([...packages.keys()].filter((name) => !(name in installed))).toEqual([])
  })

  it('lets nothing into the image but sources', async () => {
    const lines = (await readFile(join(ROOT, 'deploy/origin/Dockerfile.dockerignore'), 'utf8')).split('\n')
    const rules = lines.filter((line) => line !== '' && !line.startsWith('#'))
    expect(rules[0]).toBe('*')
    const allowed = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1))
    expect(allowed).toEqual(['package.json', 'package-lock.json', '.npmrc', 'src', 'scripts'])
  })
})
