/** What follows the id of a key, and all of a browser's token. Either may stand where its sender put it by mistake: in a path, for example. */
const SECRET = /(verge_sk_(?:[0-9a-z]{12}_)?|verge_bt_)[\w.-]+/g

/** A text for the log, without the secrets of callers. What the id of a key is, it still says. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRET, '$1[secret]')
}
