import { TASKS } from '../../src/catalog/manifest.ts'
import { taskContract } from '../contract/task.ts'
import { TASK_CASES } from '../contract/task-cases.ts'

for (const name of TASKS) taskContract(name, TASK_CASES[name])
