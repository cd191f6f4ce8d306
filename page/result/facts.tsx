import type { ComponentChildren } from 'preact'
import type { ModelInfo } from '../models.ts'
import type { Answer } from '../panels/request.ts'
import { CopyButton } from '../ui/index.ts'
import { artifactText } from './artifact.ts'
import { cacheState } from './cache-state.ts'
import { explainPlacement, parsePlacement, placeLabel } from './placement.ts'

/** Where an answer was computed, by what, and what the cache did. */
export function Facts({ answer, model }: { readonly answer: Answer; readonly model: ModelInfo }) {
  const { info, place } = answer
  const placement = parsePlacement(info.placement)
  const cache = cacheState(info.cache, place)
  const artifact = artifactText(placement?.artifact, model.artifacts, placement?.engine)
  const reasons = explainPlacement(placement ?? {}, info.reason)
  return (
    <dl class="facts">
      <Fact name="Where" value={placeLabel(place, placement?.origin)}>
        {reasons.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
      </Fact>
      <Fact name="Model" value={info.model ?? `${model.name}@${model.version}`}>
        {artifact !== undefined && <p>{artifact}</p>}
      </Fact>
      <Fact name="Cache" value={cache.label}>
        <p>{cache.meaning}</p>
      </Fact>
      {info.requestId !== undefined && (
        <Fact name="Request" value={<code>{info.requestId}</code>}>
          <p>
            The Worker’s log entries have this id.{' '}
            {info.attempts > 1 && `The page sent the request ${info.attempts} times. `}
            <CopyButton text={info.requestId} what="the request id" />
          </p>
        </Fact>
      )}
    </dl>
  )
}

interface FactProps {
  readonly name: string
  readonly value: ComponentChildren
  readonly children?: ComponentChildren
}

function Fact({ children, name, value }: FactProps) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        <div class="fact-value">{value}</div>
        <div class="fact-meaning">{children}</div>
      </dd>
    </div>
  )
}
