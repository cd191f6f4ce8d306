/** What `app.ts` names of workerd's types and Node's have not. An origin has no streams, so none of it is ever there. */
interface Response {
  readonly webSocket?: WebSocket | null | undefined
}

interface ResponseInit {
  webSocket?: WebSocket | null | undefined
}
