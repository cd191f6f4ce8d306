import { Notice } from '../ui/index.ts'

/** What to do where there is nothing to try. */
export function NoModels({ operator }: { readonly operator: boolean }) {
  return (
    <Notice title="There are no models yet">
      <p>Push one, and reload this page:</p>
      <pre class="no-models-command">
        <code>npx verge push model.onnx --name mine</code>
      </pre>
      {!operator && <p>Private models are shown to those who may use them: enter a key above.</p>}
    </Notice>
  )
}
