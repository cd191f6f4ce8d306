/** The client, as it is published: also for backends, which mint tokens. */
export { type MintTokenOptions, mintToken, type TokenKey } from './mint-token.ts'
export * from './page.ts'
