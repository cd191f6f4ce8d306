/** The address of a file that the build puts beside the scripts. Written by scripts/browser/bundle.ts. */
declare module '*?url' {
  const url: string
  export default url
}

/** The same of the file, compressed by gzip. */
declare module '*?gzip' {
  const url: string
  export default url
}
