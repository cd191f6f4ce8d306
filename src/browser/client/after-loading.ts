import type { LocalAnswer } from '../messages.ts'

const TIMING = 'server-timing'
const PLACEMENT = 'verge-placement'
const LOAD = /(^|, )load;dur=([\d.]+)(?:, |$)/

/** Says of an answer that waited for its model what the Worker says of a cold start. @param ms how long it waited */
export function afterLoading(answer: LocalAnswer, ms: number): LocalAnswer {
  const placement = answer.headers[PLACEMENT]
  if (placement === undefined) return answer
  const said = answer.headers[TIMING] ?? ''
  const [, , own = '0'] = LOAD.exec(said) ?? []
  const load = `load;dur=${Math.round((ms + Number(own)) * 100) / 100}`
  return {
    ...answer,
    headers: {
      ...answer.headers,
      [PLACEMENT]: placement.replace(/;start=warm(?=;|$)/, ';start=cold'),
      [TIMING]: [load, said.replace(LOAD, '$1')].filter((part) => part !== '').join(', '),
    },
  }
}
