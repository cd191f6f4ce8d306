/** What each module imports by value, by paths in the repository. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>

/**
 * Modules that import each other by value: the shortest cycle through each module that is in no cycle found before, as
 * paths of which the last equals the first. Imports of types alone and `import()` make no cycle: nothing is evaluated too early by them.
 */
export function importCycles(graph: ImportGraph): string[][] {
  const found: string[][] = []
  const seen = new Set<string>()
  for (const start of graph.keys()) {
    if (seen.has(start)) continue
    const cycle = shortestCycle(graph, start)
    if (cycle === undefined) continue
    for (const path of cycle) seen.add(path)
    found.push(cycle)
  }
  return found
}

/** The shortest way from a module back to itself, breadth first. */
function shortestCycle(graph: ImportGraph, start: string): string[] | undefined {
  const from = new Map<string, string>()
  const queue = [start]
  for (const path of queue) {
    for (const next of graph.get(path) ?? []) {
      if (next === start) return wayTo(path, from, start)
      if (from.has(next)) continue
      from.set(next, path)
      queue.push(next)
    }
  }
  return undefined
}

function wayTo(path: string, from: ReadonlyMap<string, string>, start: string): string[] {
  const way = [start]
  for (let at: string | undefined = path; at !== undefined && at !== start; at = from.get(at)) way.unshift(at)
  return [start, ...way]
}
