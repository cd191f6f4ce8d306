/** The small parts that all panels share. Their styles are in page/style/ui.css. */
export { Bars } from './bars.tsx'
export { Button } from './button.tsx'
export { Choice } from './choice.tsx'
export { CopyButton } from './copy.tsx'
export { TextArea, TextInput } from './field.tsx'
export { Notice } from './notice.tsx'
export { Said } from './said.tsx'
export { Scroll } from './scroll.tsx'
