/** `new URL('./child.ts', import.meta.url)`: a module that another one starts a process or a thread of. */
const OWN_FILE = /(new URL\((['"])\.[^'"]*)\.ts(\2,\s*import\.meta\.url\))/g

/** A built module, with the names of modules that it starts as they are after the build. The compiler changes imports alone. */
export function ownFileUrls(text: string): string {
  return text.replaceAll(OWN_FILE, '$1.js$3')
}
