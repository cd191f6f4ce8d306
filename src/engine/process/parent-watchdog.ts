/** A thread that ends its process when the parent has ended: the child of a dead process is given another parent. */
import { workerData } from 'node:worker_threads'

const INTERVAL_MS = 1000

setInterval(() => {
  // Not `exit`, which waits for a thread that may be inside a run without end.
  if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL')
}, INTERVAL_MS)
