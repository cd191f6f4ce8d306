import type { TaskName } from '../catalog/manifest.ts'
import type { Limits } from '../core/limits.ts'
import { imageClassification } from './image-classification.ts'
import { type BoundTask, bindTask } from './task.ts'
import { textClassification } from './text-classification.ts'

export type Tasks = Readonly<Record<TaskName, BoundTask>>

/** Every task, by name; a task that is named in the manifest's schema and missing here does not compile. */
export function createTasks(limits: Limits): Tasks {
  return {
    'image-classification': bindTask(imageClassification(limits)),
    'text-classification': bindTask(textClassification(limits)),
  }
}

/** The task that a manifest names. A newer manifest may name one that this code does not know: then there is none. */
export function taskOf(tasks: Tasks, name: string | undefined): BoundTask | undefined {
  return name !== undefined && Object.hasOwn(tasks, name) ? tasks[name as TaskName] : undefined
}
