import type { Panel } from './panel.ts'

/** A panel is downloaded when a model of its task is opened. */
type LazyPanel = () => Promise<Panel>

/** Panels by task. Models of other tasks, and those without one, have the panel for tensors. */
export const PANELS: Readonly<Record<string, LazyPanel>> = {}
