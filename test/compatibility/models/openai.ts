import { shipped } from '../shipped.ts'

/** The models that ship with Verge. */
export const models = { abacus: shipped('abacus'), digits: shipped('digits'), reviews: shipped('reviews') }
