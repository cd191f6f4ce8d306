import { capturedBy } from '../graph.ts'
import { type Pass, sorted } from '../pass.ts'

/** Drops nodes and constants that no output of the graph depends on. Inputs stay: they are the model's signature. */
export const dropDead: Pass = {
  name: 'drop-dead',
  *propose({ graph }) {
    const live = new Set(graph.output.map(({ name }) => name))
    // Readers come before what they read: a run of patches that is cut short leaves no reader without its value.
    for (const node of sorted(graph.node).reverse()) {
      if (node.output.some((value) => live.has(value))) {
        for (const value of [...node.input, ...capturedBy(node)]) live.add(value)
      } else {
        yield { what: `drop ${node.name || node.opType}`, remove: [node] }
      }
    }
    const inputs = new Set(graph.input.map(({ name }) => name))
    for (const { name } of graph.initializer) {
      if (!live.has(name) && !inputs.has(name)) yield { what: `drop constant ${name}`, removeInitializers: [name] }
    }
  },
}
