import type { Pass } from '../pass.ts'

/** From this version of the file format on, constants need not be listed among the inputs. */
const OWN_CONSTANTS_IR = 4

/**
 * Takes the constants of the model out of its inputs, where old files list them: callers then cannot replace the
 * weights, and the weights can be worked on.
 */
export const ownInitializers: Pass = {
  name: 'own-initializers',
  *propose({ graph, outer }) {
    if (outer !== undefined) return
    const inputs = new Set(graph.input.map(({ name }) => name))
    const removeInputs = graph.initializer.map(({ name }) => name).filter((name) => inputs.has(name))
    if (removeInputs.length === 0) return
    yield { what: `own ${removeInputs.length} constants`, removeInputs, irVersion: OWN_CONSTANTS_IR }
  },
}
