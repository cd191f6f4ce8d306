/** What `verge-cache` says, and what it means to a person. */
export interface CacheState {
  readonly label: string
  readonly meaning: string
}

const STATES: Readonly<Record<string, CacheState>> = {
  hit: {
    label: 'hit',
    meaning: 'The result cache had the answer to equal inputs, so that no run was needed.',
  },
  miss: {
    label: 'miss',
    meaning: 'The result cache had no entry. The Worker keeps this result for the next equal inputs.',
  },
  bypass: {
    label: 'bypass',
    meaning:
      'The result cache was not used: the model or the request turns it off, or the run is cheaper than a lookup.',
  },
}

/** @param place a browser has no result cache of the Worker's */
export function cacheState(header: string | undefined, place: 'browser' | 'edge' | 'origin'): CacheState {
  const known = header === undefined ? undefined : STATES[header]
  if (known !== undefined) return known
  if (place === 'browser') {
    return { label: 'not used', meaning: 'The model ran in your browser, without the Worker and its result cache.' }
  }
  return {
    label: header ?? 'not used',
    meaning: 'The result cache keeps results of runs; this answer does not use it.',
  }
}
