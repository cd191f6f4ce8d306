/** Of Node's modules, what workerd has with the compatibility flag `nodejs_als`. `@types/node` has it for programs on Node. */
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<T> {
    run<R>(value: T, work: () => R): R
    getStore(): T | undefined
  }
}
