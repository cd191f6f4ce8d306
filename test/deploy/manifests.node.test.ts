import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { LEAST_SECRET } from '../../src/access/signature.ts'
import { ROOT } from '../../src/cli/files/project.ts'
import { OPTION_NAMES, readOptions, variableOf } from '../../src/origin/command/options.ts'
import { audit, type OriginFacts } from '../fixtures/node/manifest-audit.ts'
import {
  type Manifest,
  patch,
  readManifests,
  readYaml,
  render,
  schemaFault,
  typeFaults,
} from '../fixtures/node/manifests.ts'

const composeSchema = z.object({
  services: z.object({
    origin: z.object({
      build: z.object({ context: z.string(), dockerfile: z.string(), target: z.string() }),
      ports: z.array(z.string()),
      stop_grace_period: z.string().regex(/^\d+s$/),
      read_only: z.literal(true),
      cap_drop: z.tuple([z.literal('ALL')]),
    }),
  }),
})

const KUBERNETES = join(ROOT, 'deploy/kubernetes')
const OVERLAYS = ['cpu', 'gpu'] as const

const FACTS: OriginFacts = {
  adminPort: 8789,
  probes: ['/livez', '/readyz'],
  variables: new Set([
    ...OPTION_NAMES.map(variableOf),
    ...['VERGE_ORIGIN_KEY', 'R2_ENDPOINT', 'R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY'],
  ]),
}

/** An overlay as it is applied, with the secret that is made beforehand. */
async function applied(overlay: string): Promise<Manifest[]> {
  const secret = await readManifests(join(KUBERNETES, 'base/secret.example.yaml'))
  return [...(await render(join(KUBERNETES, overlay))), ...secret]
}

/** An overlay with one thing broken, and the object that it belongs to. */
async function broken(
  kind: string,
  path: string,
  value: unknown,
  overlay: (typeof OVERLAYS)[number] = 'cpu',
): Promise<{ objects: Manifest[]; object: Manifest }> {
  const objects = await applied(overlay)
  const object = objects.find((one) => one.kind === kind)
  if (object === undefined) throw new Error(`there is no ${kind}`)
  patch(object, { op: 'add', path, value })
  return { objects, object }
}

const POD = '/spec/template/spec'
const CONTAINER = `${POD}/containers/0`

describe('the manifests', () => {
  let objects: Manifest[]

  beforeAll(async () => {
    const tunnel = await readManifests(join(KUBERNETES, 'tunnel/cloudflared.yaml'))
    objects = [...(await Promise.all(OVERLAYS.map(applied))).flat(), ...tunnel]
  })

  it('are what the Kubernetes API takes, field by field', async () => {
    for (const object of objects)
      expect(await schemaFault(object), `${object.kind} ${object.metadata.name}`).toBe(undefined)
    const types = await typeFaults(objects)
    expect(types).toHaveLength(objects.length)
    expect(types.flat()).toEqual([])
  })

  it('would be refused with a field that does not exist, a word that is not listed, a value of a wrong type', async () => {
    const changes = await Promise.all([
      broken('Deployment', `${CONTAINER}/imagePullPolice`, 'Always'),
      broken('Deployment', `${CONTAINER}/imagePullPolicy`, 'Sometimes'),
      broken('Service', '/spec/ports/0/portt', 80),
      broken('HorizontalPodAutoscaler', '/spec/behavior/scaleDown/window', 600),
      broken('PodDisruptionBudget', '/spec/maxUnavailable', ['1']),
      broken('NetworkPolicy', '/spec/ingress/0/form', []),
    ])
    for (const [i, faults] of (await typeFaults(changes.map(({ object }) => object))).entries())
      expect(faults, `change ${i}`).not.toEqual([])

    const { object } = await broken('Deployment', '/spec/progressDeadlineSeconds', '900')
    expect(await schemaFault(object)).toMatch(/progressDeadlineSeconds must be integer/)
    expect(await schemaFault({ ...object, kind: 'Deploymint' })).toBe('there is no Deploymint in apps/v1')
  })

  it.each(OVERLAYS)('fit each other and the origin: %s', async (overlay) => {
    expect(audit(await applied(overlay), FACTS)).toEqual([])
  })

  it.each([
    ['Deployment', '/spec/selector/matchLabels', { app: 'origin' }, 'does not select its own pods'],
    ['Deployment', '/spec/replicas', 2, 'both set the number of pods'],
    ['Deployment', `${POD}/serviceAccountName`, 'default', 'no such service account'],
    ['Deployment', `${POD}/terminationGracePeriodSeconds`, 30, 'killed before it has drained'],
    ['Deployment', `${CONTAINER}/lifecycle/preStop`, {}, 'no time for the endpoint to go'],
    ['Deployment', `${CONTAINER}/livenessProbe/httpGet/path`, '/healthz', 'does not answer /healthz'],
    ['Deployment', `${CONTAINER}/livenessProbe/httpGet/path`, '/readyz', 'liveness asks for readiness'],
    ['Deployment', `${CONTAINER}/readinessProbe/httpGet/port`, 'http', "is not the origin's 8789"],
    ['Deployment', `${CONTAINER}/resources/limits`, { cpu: '4' }, 'memory: asks for'],
    ['Deployment', `${CONTAINER}/securityContext/readOnlyRootFilesystem`, false, 'may write its root file system'],
    ['Deployment', `${CONTAINER}/securityContext/capabilities`, { add: ['SYS_PTRACE'] }, 'has capabilities'],
    ['Deployment', `${POD}/securityContext/runAsUser`, 0, 'may be root'],
    ['Deployment', `${POD}/hostNetwork`, true, 'shares namespaces'],
    ['Deployment', `${POD}/volumes/0/emptyDir/sizeLimit`, '8Gi', 'larger than its volume'],
    ['ConfigMap', '/data/VERGE_ORIGIN_THREADS', '16', 'threads and CPUs differ'],
    ['ConfigMap', '/data/VERGE_ORIGIN_MEMORY_GB', '8', 'leave no memory'],
    ['ConfigMap', '/data/VERGE_ORIGIN_PROVIDERS', 'cuda,cpu', 'CUDA is wanted without a GPU'],
    ['ConfigMap', '/data/VERGE_ORIGIN_ADMIN_PORT', '9000', 'is not the port admin'],
    ['ConfigMap', '/data/VERGE_ORIGIN_MEMORY', '4', 'an origin reads no VERGE_ORIGIN_MEMORY'],
    ['ConfigMap', '/data/VERGE_ORIGIN_KEY', 'abc', 'a key lies in the config map'],
    ['ConfigMap', '/metadata/name', 'origin', 'there is no ConfigMap verge-origin'],
    ['Secret', '/stringData/VERGE_ORIGIN_KEY', 'f00d', 'the example holds a value'],
    ['Service', '/spec/ports/0/targetPort', 'web', 'no port web'],
    ['Service', '/spec/selector', { app: 'x' }, 'selects nothing'],
    ['NetworkPolicy', '/spec/ingress/0/ports/0/port', 'https', 'no port https'],
    ['PodDisruptionBudget', '/spec/selector/matchLabels', {}, 'budget verge-origin selects nothing'],
    ['HorizontalPodAutoscaler', '/spec/scaleTargetRef/name', 'origin', 'scales nothing'],
    ['HorizontalPodAutoscaler', '/spec/maxReplicas', 1, 'most is below least'],
    ['ServiceAccount', '/metadata/namespace', 'default', 'no such namespace'],
  ])('would not fit with another %s%s', async (kind, path, value, fault) => {
    const { objects: changed } = await broken(kind, path, value)
    expect(audit(changed, FACTS).join('\n')).toContain(fault)
  })

  it('would not fit without a toleration for nodes with GPUs', async () => {
    const { objects: changed } = await broken('Deployment', `${POD}/tolerations`, [], 'gpu')
    expect(audit(changed, FACTS)).toEqual(['it does not tolerate nodes with GPUs'])
  })

  it('run another image in each overlay', async () => {
    const images = objects
      .filter(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'verge-origin')
      .map((object) => JSON.stringify(object).match(/"image":"([^"]+)"/)?.[1])
    expect(images).toEqual(['registry.example.com/verge-origin:cpu', 'registry.example.com/verge-origin:cuda'])
  })

  it.each(OVERLAYS)('set options that the origin accepts, and as it means them: %s', async (overlay) => {
    const config = (await applied(overlay)).find(({ kind }) => kind === 'ConfigMap') as Manifest
    const environment = config.data as Record<string, string>
    const options = await readOptions([], { ...environment, VERGE_ORIGIN_KEY: 'k'.repeat(LEAST_SECRET) })
    expect(options).toMatchObject({
      ...{ adminPort: FACTS.adminPort, host: '0.0.0.0', adminHost: '0.0.0.0', cacheFolder: '/cache', drainMs: 30_000 },
      ...{
        maxBatch: 32,
        maxQueue: 128,
        maxCost: 1_000_000,
        providers: overlay === 'gpu' ? ['cuda', 'webgpu', 'cpu'] : ['cpu'],
      },
    })
    await expect(readOptions([], { ...environment, VERGE_ORIGIN_MAX_BATCH: 'many' })).rejects.toThrow('--max-batch')
    // The secret's example is no key.
    await expect(readOptions([], { ...environment, VERGE_ORIGIN_KEY: 'REPLACE_ME' })).rejects.toThrow('at least')
  })
})

describe('the container without a cluster', () => {
  it('has an example of settings that the origin accepts, but for its secrets', async () => {
    const text = await readFile(join(ROOT, 'deploy/origin/origin.env.example'), 'utf8')
    const settings = parseEnv(text)
    expect(Object.keys(settings).filter((name) => !FACTS.variables.has(name))).toEqual([])
    const secrets = Object.entries(settings).filter(([name]) => /KEY(_ID)?$/.test(name))
    expect(secrets.map(([, value]) => value)).toEqual(['', '', ''])
    const options = await readOptions([], { ...settings, VERGE_ORIGIN_KEY: 'k'.repeat(LEAST_SECRET) })
    const [compose] = await readYaml(join(ROOT, 'deploy/origin/compose.yaml'))
    const { origin } = composeSchema.parse(compose).services
    expect(options?.drainMs).toBeLessThan(Number.parseInt(origin.stop_grace_period, 10) * 1000)
    expect(origin.ports.every((port) => port.startsWith('127.0.0.1:'))).toBe(true)
    expect(existsSync(join(ROOT, 'deploy/origin', origin.build.context, origin.build.dockerfile))).toBe(true)
  })
})
