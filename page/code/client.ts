import type { PanelRequest } from '../panels/request.ts'
import { CHOSEN_FILE } from './fetch.ts'
import { jsKey, jsLiteral } from './literal.ts'
import { type CodeContext, fileName, hasAny, KEY_PLACEHOLDER, namedTensors, type Snippet } from './request.ts'

/** Verge's own client, from the Worker itself. In the browser the model runs in the page: the client of `/browser.js`. */
export function clientSnippet(request: PanelRequest, context: CodeContext): Snippet {
  const { answered, needsKey, place, url } = context
  const inBrowser = place === 'browser' || (place === undefined && answered === 'browser')
  const [create, file] = inBrowser ? ['createBrowserClient', 'browser.js'] : ['createClient', 'client.js']
  const options = {
    url,
    ...(inBrowser && { placement: place ?? 'auto' }),
    ...(needsKey && { key: KEY_PLACEHOLDER }),
  }
  const code = [
    `import { ${create} } from ${jsLiteral(`${url}/${file}`)}`,
    '',
    `const verge = ${create}(${jsLiteral(options)})`,
    ...call(request, context),
  ]
  return { id: 'client', label: 'Verge’s client', language: 'js', code: code.join('\n') }
}

function call({ input, method, parameters }: PanelRequest, context: CodeContext): string[] {
  const { model, place, version } = context
  const options = {
    ...(version !== undefined && { version }),
    ...((place === 'edge' || place === 'origin') && { place }),
    ...(hasAny(parameters) && { parameters }),
  }
  const name = jsLiteral(model)
  const more = Object.keys(options).length === 0 ? '' : `, ${jsLiteral(options)}`
  switch (method) {
    case 'run': {
      if (!(input instanceof Blob)) return [`console.log(await verge.run(${name}, ${jsLiteral(input, 0, 40)}${more}))`]
      return [
        `const file = ${CHOSEN_FILE} // such as ${fileName(input)}`,
        `console.log(await verge.run(${name}, file${more}))`,
      ]
    }
    case 'embed':
      return [`console.log(await verge.embed(${name}, ${jsLiteral(input, 0, 40)}${more}))`]
    case 'rerank': {
      const { documents, query } = input as { readonly query: string; readonly documents: readonly string[] }
      return [
        `const documents = ${jsLiteral(documents, 0, 18)}`,
        `console.log(await verge.rerank(${name}, ${jsLiteral(query)}, documents${more}))`,
      ]
    }
    case 'chat':
    case 'complete': {
      const variable = method === 'chat' ? 'messages' : 'prompt'
      return [
        `const ${variable} = ${jsLiteral(input, 0, 19)}`,
        `let answer = ''`,
        `for await (const { text } of verge.${method}(${name}, ${variable}${more})) answer += text`,
        'console.log(answer)',
      ]
    }
    case 'infer':
      return [
        'const { outputs } = await verge.infer(',
        `  ${name},`,
        '  {',
        ...namedTensors(input).map(([tensor, value]) => `    ${jsKey(tensor)}: ${tensorLiteral(value)},`),
        '  },',
        ...(more === '' ? [] : [`  ${more.slice(2)},`]),
        ')',
        'console.log(outputs)',
      ]
  }
}

const ARRAYS: Readonly<Record<string, string>> = {
  BOOL: 'Uint8Array',
  UINT8: 'Uint8Array',
  UINT16: 'Uint16Array',
  UINT32: 'Uint32Array',
  UINT64: 'BigUint64Array',
  INT8: 'Int8Array',
  INT16: 'Int16Array',
  INT32: 'Int32Array',
  INT64: 'BigInt64Array',
  FP16: 'Uint16Array',
  FP32: 'Float32Array',
  FP64: 'Float64Array',
}

function tensorLiteral({ data, datatype, shape }: ReturnType<typeof namedTensors>[number][1]): string {
  const kind = ARRAYS[datatype]
  const items = Array.from<unknown>(data)
  const big = kind?.startsWith('Big') === true
  const list = big ? `[${items.map((item) => `${String(item)}n`).join(', ')}]` : jsLiteral(items, 0, -1e9)
  const said = datatype === 'BOOL' || datatype === 'FP16' ? `, datatype: '${datatype}'` : ''
  return `{ shape: ${jsLiteral(shape)}${said}, data: ${kind === undefined ? list : `new ${kind}(${list})`} }`
}
