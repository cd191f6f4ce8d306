// What kernels of whole numbers say of their results, as `src/engine/verge/ops/guard.ts` reads it.

/** All results are right. */
export const HOLDS: i32 = -1;
/** A result needs more than 32 bits, and is not what is stored. */
export const BEYOND: i32 = 0;
/** A number was to be divided by 0. */
export const NO_QUOTIENT: i32 = 1;
