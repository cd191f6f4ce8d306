/** An IPv6 address takes 39 characters, with an IPv4 one at its end 45. */
const MOST_ADDRESS = 45
const GROUPS = 8
/** The first 64 bits: what one customer has, who may use any address within. */
const NETWORK_GROUPS = 4

/**
 * What attempts from an address are counted by: an IPv4 address itself, of an IPv6 address its network. Texts that are no
 * address are counted as they are.
 */
export function addressKey(address: string | undefined): string {
  const text = (address ?? '').slice(0, MOST_ADDRESS).toLowerCase()
  if (!text.includes(':')) return text
  const mapped = /^(?:0*:)*:?(?:0*:)*ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text)?.[1]
  if (mapped !== undefined) return mapped
  const [before = '', after] = text.split('::')
  const first = before === '' ? [] : before.split(':')
  const last = after === undefined || after === '' ? [] : after.split(':')
  // An IPv4 address at the end is two groups.
  const held = first.length + last.length + (last.at(-1)?.includes('.') === true ? 1 : 0)
  const zeros = after === undefined ? 0 : Math.max(0, GROUPS - held)
  const groups = [...first, ...Array.from({ length: zeros }, () => '0'), ...last]
  return `${groups
    .slice(0, NETWORK_GROUPS)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
