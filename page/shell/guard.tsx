import { Component, type ComponentChildren } from 'preact'
import { Failure } from './failure.tsx'

interface Props {
  readonly title: string
  readonly children: ComponentChildren
}

/** Keeps the page alive where a part of it throws while it is drawn. */
export class Guard extends Component<Props, { readonly failure?: unknown }> {
  override state: { readonly failure?: unknown } = {}

  override componentDidCatch(failure: unknown): void {
    this.setState({ failure })
  }

  override render({ children, title }: Props) {
    const { failure } = this.state
    if (failure === undefined) return children
    return <Failure title={title} failure={failure} onRetry={() => this.setState({ failure: undefined })} />
  }
}
