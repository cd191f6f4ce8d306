/** Time of a cost unit on the machine of the benchmark (docs/decisions/0008): an estimate anywhere else. */
export const UNIT_SECONDS = 75e-6
