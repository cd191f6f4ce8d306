/**
 * Beginning of the names of the nodes that end a loop at its bound (src/onnx/bound-loops.ts): ONNX Runtime names the
 * node when a run fails there, which tells the engine why.
 */
export const LOOP_BOUND = 'verge_loop_bound_'

const NAMED = new RegExp(`${LOOP_BOUND}(\\d+)`)

/** The steps that a loop took before a run was ended, by the runtime's message; undefined for any other failure. */
export function stepsOfBound(message: string): number | undefined {
  const [, steps] = NAMED.exec(message) ?? []
  return steps === undefined ? undefined : Number(steps)
}
