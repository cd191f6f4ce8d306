/** The small parts that all panels share. Their styles are in page/style/ui.css. */
export { type Bar, Bars } from './bars.tsx'
export { Button, type ButtonProps } from './button.tsx'
export { Choice, type ChoiceProps } from './choice.tsx'
export { CopyButton } from './copy.tsx'
export { Field, TextArea, type TextAreaProps, TextInput, type TextInputProps } from './field.tsx'
export { Notice, type NoticeProps } from './notice.tsx'
export { Scroll } from './scroll.tsx'
export { Tag } from './tag.tsx'
