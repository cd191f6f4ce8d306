const KIB = 1024
const MIB = KIB * KIB

/** Bytes for people: `812 bytes`, `3.4 KiB`, `20 MiB`. */
export function sizeInWords(bytes: number): string {
  if (bytes < KIB) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
  const [unit, name] = bytes < MIB ? [KIB, 'KiB'] : [MIB, 'MiB']
  const value = bytes / unit
  return `${value < 9.95 ? Math.round(value * 10) / 10 : Math.round(value)} ${name}`
}
