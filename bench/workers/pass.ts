/** What passing a request on costs a Worker that does nothing else: to the server that the variable `TO` names. */
export default {
  fetch(request, { TO }): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    return fetch(new Request(TO + pathname + search, request))
  },
} satisfies ExportedHandler<{ readonly TO: string }>
