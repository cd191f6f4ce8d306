/**
 * Every limit of Verge, each with its reason. An isolate has 128 MB for its JavaScript heap and all wasm memories
 * together, shared by every request in it; nothing here may be raised without asking where the bytes come from.
 */
const KiB = 1024
const MiB = 1024 * 1024

/**
 * Facts about Cloudflare's stores, which hold wherever they are read from. Any module may import them. `LIMITS` may be
 * imported only where a program is put together: everything else is passed its limits, because an origin has others.
 */
export const PLATFORM = {
  /** KV's own limits: one value, and a key in UTF-8 bytes. */
  kvValueBytes: 25 * MiB,
  kvKeyBytes: 512,
  /** Keys of one bulk read. All of its values may have 25 MiB together. */
  kvBulkKeys: 100,
  /** R2's own limit on a key, in UTF-8 bytes. */
  r2KeyBytes: 1024,
  /** Seconds a data centre may keep a KV value: a day for what never changes, the platform's least for what does. */
  kvImmutableTtlSeconds: 86_400,
  kvMutableTtlSeconds: 30,
  /** Size of one read from a store: with workerd's default of 4 KiB a chunk takes ten times as long. */
  readPieceBytes: 64 * KiB,
} as const

export const LIMITS = {
  /** wasm heaps of all engines together, a hard maximum. 128 MB less JavaScript, a picture and a request in work. */
  engineHeapBytes: 80 * MiB,
  /**
   * Sessions kept loaded: the heap minus room for activations, and for ONNX Runtime's own ~10 MB where it runs any. It
   * admits an encoder of 64 MB on Verge's own engine.
   */
  sessionBudgetBytes: 64 * MiB,
  /**
   * Sessions and the run in progress, where the run is ONNX Runtime's: the heap minus its own 9 MiB and some fragmentation.
   */
  workingBytes: 70 * MiB,
  /**
   * The same where it is Verge's own engine's, which has a page for its kernels and holes of 63 bytes: an encoder of
   * DistilBERT's shape (64 MiB) and its run of 512 tokens (9 MiB) fit.
   */
  ownWorkingBytes: 79 * MiB,
  /** A run that found no room waits so long for sessions in use: each is let go after a run or a token. */
  roomWaitMs: 2_000,

  /**
   * Requests admitted at once: reading, waiting, running, or being answered. Each takes about 20 KiB; byte limits bound
   * its data, and `backlogCost` bounds its computation.
   */
  admittedRequests: 256,
  /**
   * Maximum cost of the runs of all requests together, in units: 15 s at 75 us per unit, half of a caller's patience.
   */
  backlogCost: 200_000,
  /** Bytes of the inputs that wait for their run, as tensors: 40 pictures of 224 x 224 in floats. */
  backlogBytes: 24 * MiB,
  /** A request that has announced runs and makes none for this long is not counted among those that wait. */
  backlogIdleMs: 5_000,
  /** A session or an origin's ticket held longer belongs to a request that was killed without running its `finally`. */
  ticketLeaseMs: 60_000,
  /**
   * A request or a call by another Worker that gives no sign of life for this long was killed, or ended with its caller.
   * Longer than a run that blocks the event loop, and with it all signs of life.
   */
  callLeaseMs: 5_000,
  /** Between two signs of life of such a request: several fit into its lease. */
  callBeatMs: 1_000,
  /** A caller's default and greatest wait. */
  requestDeadlineMs: 30_000,
  /** A request first in the queue that has not begun within this time is gone, and loses its slot. */
  turnLeaseMs: 1_000,
  /**
   * Work between two yields to the event loop, in millions of multiply-adds: a few milliseconds. A yield costs one or
   * two, as much as a run of a small model.
   */
  costBetweenYields: 50,
  /**
   * Multiply-adds of eight bits between two yields inside a run of Verge's own engine: about 20 ms at 50 thousand million
   * a second. A stop and a slow body notice it no later.
   */
  workBetweenYields: 1_000_000_000,

  /**
   * Units (docs/decisions/0008) that the runs of one request may cost together. At 75 us a unit 50,000 are 3.8 s; on a
   * processor half as fast they leave a quarter of the 10 s of CPU that wrangler.toml gives a request in production to
   * loading, decoding and answering. Thirty-two texts of 128 tokens in an 8-bit encoder of MiniLM's shape are 34,000.
   */
  requestCost: 50_000,

  /** Seconds for which a result is kept where its model does not say otherwise; 0: the result cache is off. */
  resultTtlSeconds: 3_600,
  /** A run that costs less, in units, is made again: 0.75 ms, about what looking it up takes. */
  resultMinCost: 10,
  /** One kept result. A vector for each of 512 tokens of MiniLM's 384 channels is 768 KiB. */
  resultBytes: 2 * MiB,
  /** Runs of one request that the result cache is asked for: each is two of the 50 subrequests of the free plan. */
  resultLookups: 16,
  /** A look-up that takes longer is given up, and the model is run. */
  resultLookupMs: 250,

  /** JSON and binary request bodies: 1x3x1024x1024 float in binary is 12 MiB, and the isolate holds it twice. */
  requestBodyBytes: 16 * MiB,
  /** Bodies of all admitted requests together, so that many large ones cannot end the isolate. */
  bodyBytesTogether: 24 * MiB,
  /** Of this, bodies above 256 KiB: one of the largest. The rest is left for small ones. */
  largeBodyBytesTogether: 16 * MiB,
  /** Nothing is asked of a body's rate in its first seconds: a telephone may have to wake its radio. */
  bodyGraceMs: 5_000,
  /** Least rate of a body after that, on average. The slowest mobile networks have twice as much. */
  bodyBytesPerSecond: 16 * KiB,
  /**
   * A body that is kept until an origin has answered, so that it can be signed with its digest and sent again; a larger
   * one is passed on as it comes, once.
   */
  replayableBodyBytes: 1 * MiB,
  /** A model that could not be loaded at the edge goes to an origin for this long before it is tried there again. */
  failedLoadMs: 30_000,
  /** Requests that are passed on to origins at once: each is two streams and at most one kept body. */
  forwardedRequests: 256,
  /** Kept bodies of all of them together, beside those of the requests that are computed here. */
  forwardedBodyBytes: 16 * MiB,
  /** An origin's answer of known end that is read before it counts: until then another origin can still be asked. */
  wholeAnswerBytes: 1 * MiB,
  /** Tensors that an origin answers with: as many as a request may bring, and held twice where they are not aligned. */
  originTensorBytes: 16 * MiB,
  /** One event of a stream of events, held until it is complete. */
  eventBytes: 1 * MiB,
  /** JSON bodies that name their model: texts alone, read before it is known who may run what. */
  textBodyBytes: 4 * MiB,
  /**
   * Lists and objects in a JSON body: each takes 16 to 64 bytes of heap however short it is, so that these are 32 MiB at
   * most, and 16 MiB of `[],` would be ten times that. A tensor nested more finely can be sent flat, or in binary.
   */
  jsonContainers: 512 * KiB,
  /**
   * Members of all objects in a JSON body, by their colons. Names that are all different take about 60 bytes of heap each,
   * and a microsecond: these are 0.25 s, and 16 MiB of them would be 1.5 s. A table of `tableCells` as rows has half as many.
   */
  jsonMembers: 256 * KiB,
  /** The JSON header before binary tensors: names and shapes only. */
  inferenceHeaderBytes: 1 * MiB,
  /** Elements of all inputs together; 4 Mi floats are 16 MiB, the body's own limit. */
  inputElements: 4 * MiB,
  /** Elements of all outputs together in JSON, where each takes up to 20 bytes of text: binary takes any that fit. */
  jsonOutputElements: 1 * MiB,
  /** ONNX Runtime itself stops being useful long before this rank. */
  tensorRank: 16,
  /** Inputs in one request: more than any published model has. */
  tensorsPerRequest: 64,
  /** One element of a BYTES tensor. */
  stringBytes: 1 * MiB,

  /**
   * Steps (docs/limits.md) for reading one image, audio file or table before the cost of its run is known: a second of
   * CPU on the machine of the benchmark. Steps are computed from the file's headers before anything is decoded.
   */
  decodeSteps: 1_000_000_000,
  /** Steps between two yields to the event loop: 20 ms, about ten times the cost of a yield. */
  stepsBetweenPauses: 20_000_000,
  /** Maximum steps ahead of a request's file or texts: 10 s, a third of a caller's patience. */
  readingStepsAhead: 10_000_000_000,
  /** An image as it comes (PNG, JPEG, WebP). */
  imageBytes: 8 * MiB,
  /**
   * A progressive JPEG without subsampling holds 6 bytes a pixel of coefficients, then 3 of planes and 3 of pixels: 4 Mi
   * pixels are 28 MiB at the peak, in JavaScript's heap, and given back.
   */
  imagePixels: 4 * MiB,
  /**
   * A larger picture is decoded 2 or 4 times smaller, so that it holds no more than one of `imagePixels`; this many take
   * a few seconds of unpacking. The cameras of telephones make 12 to 24 million.
   */
  fullImagePixels: 32 * MiB,
  /** Boxes over a detector's threshold that are compared with one another; the best are taken. */
  detectionCandidates: 2_000,
  /** Boxes in one answer. */
  detections: 300,
  /**
   * What one answer says of pixels in base64, before that: 11 MiB after it, which the isolate holds three times. Masks as
   * PNG: a mask takes as many bytes as its outline, about 6 KiB for a thing in a picture of 512 x 512. Depths as floats: of
   * 2 Mi pixels.
   */
  pixelBytes: 8 * MiB,
  /** Every scan of a progressive JPEG visits every block. Encoders write about ten; a hostile file could hold thousands. */
  jpegScans: 32,
  /** A sound as it comes. Four minutes of 16 kHz speech in 16 bits are 7.3 MiB. */
  audioBytes: 8 * MiB,
  /** Longest sound in one request: 15 MiB of floats at 16 kHz, and 7,500 windows of a voice detector. */
  audioSeconds: 240,

  /** A message of a stream: two seconds of 16 kHz PCM16. */
  streamMessageBytes: 64 * KiB,
  /** Burst at the start of a stream; after a silence twice as much: 640 KB of 16 kHz PCM16. */
  streamBurstSeconds: 10,
  /** How many times as fast as it is spoken a stream may come in. */
  streamSpeed: 2,
  /** Longest sound of one stream: an hour. */
  streamSeconds: 3600,
  /** A stream that has sent nothing for this long is closed. */
  streamIdleMs: 60_000,
  /** What survives hibernation with a socket: the platform keeps 16,384 bytes; some go to the form they are stored in. */
  streamStateBytes: 12 * KiB,

  /**
   * Tokens of a prompt that a language model reads in one run. It answers logits for each of them: 50,000 floats a token
   * are 51 MB for these, and a prompt of 4,096 tokens would be 820 MB in one piece.
   */
  prefillTokens: 256,
  /** Texts in one request: they are padded to the longest and run together. */
  textsPerRequest: 32,
  /**
   * Texts in one request for vectors or ranks, as many as OpenAI takes. They run in batches of similar length, so what
   * they may cost together is bounded by their tokens.
   */
  embeddingsPerRequest: 2_048,
  /** Tokens of all texts in such a request: about 10 s of an encoder of MiniLM's shape, whose CPU limit is 30 s. */
  embeddingTokens: 16 * KiB,
  /** Tokens in one of its batches, padding included: hidden layers of 4 x 384 floats each are then 6 MiB. */
  tokensPerRun: 1024,
  /**
   * Scores that one run answers, one for each token and each entry of the vocabulary: 16 MiB of floats, which the engine's
   * memory and JavaScript's heap both hold. A vocabulary of 30,522 leaves 137 tokens.
   */
  vocabularyScores: 4 * MiB,
  /**
   * Numbers of all vectors that are held until they are compared: 16 MiB of floats, which are 32,768 tokens of ColBERT's 128
   * channels.
   */
  comparedElements: 4 * MiB,
  /**
   * Tokens of all texts in an answer of `fill-mask`, which has a text for each word that is proposed for each mask. Writing
   * one takes about a microsecond.
   */
  filledTokens: 256 * KiB,
  /** Pictures in one request that compares them with texts: 16 of 224 x 224 in floats are 9 MiB. */
  picturesPerRequest: 16,
  /** Tokens of a text where the manifest sets no limit: what most encoders were trained for. */
  textTokens: 512,
  /**
   * A text that is written while it is read, from its first token to its last: a thousand tokens at a slow reader's three
   * a second. What waits for a whole answer has `requestDeadlineMs`.
   */
  streamedAnswerMs: 300_000,
  /**
   * A prompt, and a chat as its template writes it, in UTF-16 units: the slowest tokenizers read as much in 0.9 s of CPU
   * (docs/limits.md). These are 90,000 tokens of English.
   */
  chatLength: 400_000,
  /** Messages of a chat: published templates take about 15 us for each, and others may loop over all for each. */
  chatMessages: 2_048,
  /** Values in the arguments of a chat's tool calls: each is an object of a kilobyte to the template's interpreter. */
  chatArguments: 8 * KiB,
  /**
   * UTF-16 units of a prompt for each token of its model's context; more is refused before a template or a tokenizer looks
   * at it, which may take a hundred times the memory. Prose has 4 to 5 a token, indented code up to 8.
   */
  promptLengthPerToken: 32,
  /** Texts to continue in one request: they are written one after the other. */
  promptsPerRequest: 8,
  /** Strings that end an answer, as many as OpenAI takes, and the length of each: what could begin one is held back. */
  stopStrings: 4,
  stopStringLength: 256,

  /** A text in UTF-16 units. A token is at least one of them; far longer than the longest film review. */
  textLength: 200_000,
  /**
   * UTF-16 units of all texts of a request, counting only the part that is read, not what is truncated. The slowest
   * tokenizers take 0.9 s of CPU for them (docs/limits.md), which allows 24 units for each of `embeddingTokens`.
   */
  textLengthTogether: 400_000,

  /**
   * Items and members of all lists and objects in a request that a schema looks at one by one: token ids and texts to the
   * limits above. The validator keeps up to two kilobytes for each that is wrong, 40 MB together.
   */
  requestItems: 20 * KiB,

  /**
   * Rows of one table, which are one run that nothing else can interrupt. A forest of 100 trees of depth 6 takes 10 us
   * per row, so these rows take 40 ms, and 0.4 s for a thousand trees. Larger tables must be sent in parts.
   */
  tableRows: 4_096,
  /**
   * Cells of one table, and labels with scores in an answer. As rows of JSON objects they take about 200 bytes each while
   * they are read: 27 MB together.
   */
  tableCells: 128 * KiB,

  /** A chunk of weights: small enough to retry singly, large enough that six in flight fill a connection. */
  chunkBytes: 8 * MiB,
  /** The platform opens six connections a request at once; one is left for everything else. */
  parallelFetches: 5,
  /** A load that has made no progress for this long has lost its owner, and the next waiter takes over. */
  loadStaleMs: 5_000,
  /** A load that takes longer is given up: longer than any artifact that fits takes from R2. */
  loadDeadlineMs: 60_000,
  /** How often a waiter looks whether a load it did not start is done. */
  loadPollMs: 10,
  /**
   * Pages of embedding tables that an isolate keeps, in JavaScript's heap beside its wasm memory: 160 of 25 KB, which are
   * those of the rarer pieces in many texts of one language.
   */
  pageCacheBytes: 4 * MiB,
  /**
   * Bytes of pages that requests read at the same time: 320 pages of 25 KB, as many as a text of 512 tokens may need at
   * the worst, less those that are hot. One request reads more in several rounds. Many requests together have twice as much.
   */
  pageBytesInFlight: 8 * MiB,
  /**
   * Rows of pages that runs hold while they wait for their turn, all together: 43,000 of 388 bytes. An id in a body has 8
   * bytes, so that the bodies' own limit would admit a gigabyte of rows.
   */
  heldRowBytes: 16 * MiB,
  /** All weights of one artifact: nothing larger can fit the heap. */
  artifactBytes: 72 * MiB,

  /** A body that has brought nothing for this long is left for the next layer, well before the load counts as stale. */
  chunkStallMs: 3_000,
  /**
   * A page of an embedding table, which is read, verified and kept whole. `verge push` makes pages of 16 to 32 KiB, and a row of
   * 4,096 floats has 16.
   */
  pageBytes: 1 * MiB,
  /** Pages that one bulk read of KV asks for: 100 of 40 KiB. As base64 they are a third larger, well within KV's 25 MiB. */
  pageBulkBytes: 4 * MiB,
  /** Copies of pages that take longer are read from R2 instead: KV answers within half a second where it has to go far. */
  pageCopyWaitMs: 1_000,
  /** For how long an isolate does not look in KV for pages of a file that has no copies there. */
  pageCopyRestMs: 60_000,
  /** Pages in R2 with a smaller gap between them are read together: the bytes take less time than another request. */
  pageGapBytes: 64 * KiB,
  /** One read of neighbouring pages in R2, held until all of it has come. */
  pageRangeBytes: 1 * MiB,

  /** Wait before the last layer is asked a second time, so that a hiccup can pass. */
  chunkRetryPauseMs: 50,

  /** Answer to another Worker: a message may have 32 MiB, including its encoding. */
  rpcAnswerBytes: 30 * MiB,

  /**
   * Chunks of weights on their way to browsers at once. Each is a stream of the platform's own outside of the isolate's heap:
   * 30 KiB of workerd's process as a rule, and with local R2 in the same process up to 0.8 MiB where hundreds begin at once.
   * A dozen visitors with five each.
   */
  downloads: 64,
  /** For how long a download holds its slot at most: a chunk at `bodyBytesPerSecond` takes 512 s. */
  downloadMs: 600_000,

  /**
   * How long an isolate may use what it has leased of a budget or a rate. Longer, and more is left unused in isolates that
   * are idle; shorter, and callers of ten requests a minute lease for each.
   */
  leaseMs: 60_000,
  /** For how long a ledger takes back what was not used of a lease: isolates that stood still say so with their next request. */
  leaseKeptMs: 3_600_000,
  /** Leases that a ledger keeps for that: three each of forty isolates. What comes back of older ones stays spent. */
  leasesKept: 128,
  /** What a lease should last for: at ten requests a second in an isolate one in a hundred requests leases. */
  leaseSpanMs: 10_000,
  /** A ledger that takes longer to answer is away. It is near its callers as a rule, and at the other end of the world at worst. */
  leaseCallMs: 2_000,
  /** How often a request looks whether another one's call to the ledger has an answer. */
  leasePollMs: 5,
  /** How long an isolate believes a refusal: meanwhile others may give something back. A flood asks the ledger no more often. */
  leaseRefusalMs: 1_000,
  /** A ledger that is away is asked again after a second, and after twice as long each time, up to this. */
  leaseRestMs: 30_000,
  /** What is held for a principal that was idle for so long goes back. The platform lets work continue 30 s behind an answer. */
  leaseIdleMs: 5_000,
  /** A call that got no answer is repeated for this long, less than `leaseKeptMs`, by which it is known again. */
  leaseUnsettledMs: 3_000_000,
  /** Principals that an isolate holds leases for, of a kilobyte each. */
  leasePrincipals: 2_048,
  /** Windows of rates of addresses and models up to this are not written to storage: a ledger that is reset forgets one of them. */
  memoryRateSeconds: 60,

  /** Manifests and aliases are read whole before they are parsed. */
  manifestBytes: 256 * KiB,
  aliasBytes: 64 * KiB,
  /** A `tokenizer.json` that an isolate compiles, of a model that was stored without its compiled form. */
  tokenizerBytes: 8 * MiB,
  /** The same on an origin, and where a model is packed: tokenizers of large vocabularies have 10 to 35 MB. */
  originTokenizerBytes: 64 * MiB,
  /** A compiled tokenizer, which stays as it is read: 262,144 tokens with 514,906 merges take 15 MiB. */
  tokenizerImageBytes: 16 * MiB,
  /** A chat template is read whole and parsed; the longest published ones take 30 KiB. */
  chatTemplateBytes: 256 * KiB,
  /** Stored bytes of model files that an isolate keeps: compiled tokenizers, of two large vocabularies or many small ones. */
  parsedFilesBytes: 16 * MiB,
  /** A token of a sign-in, in characters. Issuers put up to a few hundred groups into one; all headers together have 128 KB. */
  signInTokenLength: 8 * KiB,
  /** An issuer's key set: a hundred RSA keys of 4,096 bits with their certificates left out have 80 KB; most have three. */
  signInKeySetBytes: 128 * KiB,
  /** An issuer that answers later counts as one that does not. */
  signInFetchMs: 3_000,
  /** A copy of an issuer's keys that comes later is left, and the issuer asked. */
  signInCopyMs: 1_000,
  /** For how long an issuer's keys are used before they are read again: how long a withdrawn key is still accepted. */
  signInFreshMs: 600_000,
  /** For how long the last known keys are used if the issuer does not answer. Then every sign-in is refused. */
  signInMostAgeMs: 86_400_000,
  /** Pause before an isolate asks an issuer again, so that tokens with made-up key names do not become a flood for it. */
  signInPauseMs: 30_000,
  /** How often a request looks whether keys have come that another one asked for. */
  signInPollMs: 10,
  /** Who asks an issuer is done or dead by then: longer than the copy and the issuer take together. */
  signInStaleMs: 6_000,
  /** How long an isolate trusts an alias it has read: the delay of a release or a rollback. */
  aliasTtlMs: 10_000,
  /** Answer of the object that keeps a model's generation: it is one row, and may be on another continent. */
  releaseGuardMs: 2_000,
  /** A guard that did not answer is not asked again for so long, so that requests do not wait for it in turn. */
  releaseGuardPauseMs: 5_000,
  /**
   * For how long an isolate goes on with releases that the guard has accepted while the guard does not answer: longer than
   * most disturbances of the platform. For so long a downgrade of a newer release may stay unseen in this isolate.
   */
  releaseGraceMs: 600_000,
  /** Manifests an isolate keeps parsed. */
  manifestsCached: 64,
  /** Aliases an isolate keeps parsed, of ~1 KB each as a rule. */
  aliasesCached: 256,
  /** Names without a model that an isolate remembers, apart from the rest so that guessed names evict nothing. */
  unknownModelsCached: 1_024,
  /** Models in one list that is made without the index: each needs a separate read. */
  modelsListed: 1_000,
  /** Models in one answer of a list, with the index: as many as Anthropic's clients may ask for. */
  modelsPerList: 1_000,
  /** The same where the caller says no number and pages are usual: what a person looks through. */
  modelsPerPage: 100,
  /** Entries of a page of the index, of 500 bytes each. A release writes two pages, and two neighbours have a whole list. */
  indexPageEntries: 1_024,
  indexPageBytes: 512 * KiB,
  /** The index's head: 40 bytes for each 64 models, twice. It ends at 200,000 models. */
  indexHeadBytes: 256 * KiB,
  /** Reads of pages for one list, beside the head. */
  indexReads: 2,
  /** Bytes of one of them. */
  indexReadBytes: 512 * KiB,
  /** Parts of pages that an isolate keeps, as bytes; as objects they take about three times as much. */
  indexCacheBytes: 1 * MiB,
  /** A writer that lost so many races for the head leaves the entry to the next run of the cron trigger. */
  indexWriteAttempts: 8,
  /**
   * Models that one write of the index is about: each is two reads. The first write of a run is about few, so that even the
   * 50 subrequests of the free plan bring the index on.
   */
  indexFirstWrite: 8,
  indexWrite: 128,
  /** Models that one run of the cron trigger brings into the index: 800 of a request's 1,000 subrequests. */
  indexModelsPerRun: 384,
  /** Models whose aliases one run of the cron trigger compares with the index; with more, it looks every few minutes. */
  indexCompared: 1_000,
  /** An old index page that no head names any more is deleted. Hours: no write takes as long. */
  indexPageHours: 2,
  /** Deletions of such pages in one run. */
  indexDeletions: 32,
  /** A writer that lost so many races in a row is told, instead of trying for ever. */
  aliasWriteAttempts: 16,
  /** Chunks that a command announces and deletes together: their names take 9 KB, and deleting them some seconds. */
  deletionBatch: 128,
  /** The announcement of such a batch, which names each with 64 digits, and as much again. */
  deletionRecordBytes: 20 * KiB,
  /** How long after its announcement a command may begin to delete a chunk. */
  deletionMs: 20_000,
  /**
   * An announcement that has not changed for so long is of a command that was killed. A deletion that began at the end of
   * `deletionMs` has ended by then: the client of R2's API gives up after five tries and pauses of 30 s each.
   */
  deletionAbandonedMs: 300_000,
  /** Between two looks at another command's announcement. */
  deletionPollMs: 500,
  /** KV takes one write a second for each key; two quick releases must wait for it. */
  kvWritePauseMs: 1_100,

  /** An entry of the audit log: a record before and after its change, of at most `aliasBytes` each, and as much again. */
  auditEntryBytes: 256 * KiB,
  /** Entries, and records that are compared with them, that are read at once. */
  auditPage: 32,
  /** Entries behind the noted head that are read one by one; beyond that a list of the keys is quicker. */
  auditReadsForward: 32,
  /** A writer of the log that lost so many races in a row is told. Each race that it loses is another one's entry. */
  auditAppendAttempts: 64,
  /** Life of a browser token: a copy that leaves its page is worth nothing after an hour. */
  tokenSeconds: 3_600,
  /** How far the clock of a backend that mints tokens may be ahead; more than a minute is a clock that nobody sets. */
  tokenSkewSeconds: 60,
  /** The body that asks for a token: 16 models and 8 pages take 4 KiB at most. */
  tokenRequestBytes: 8 * KiB,
  /** Characters of a credential; a longer one is refused unread. A token for browsers has one or two thousand. */
  credentialLength: 8 * KiB,
  /** A key's record: 64 models, 32 pages and 8 secrets take 10 KiB. */
  keyRecordBytes: 32 * KiB,
  /** Stored bytes of the keys' records that an isolate keeps: thousands of keys as a rule. */
  keyRecordsCachedBytes: 2 * MiB,
  /** How long an isolate trusts a key's record that it has read: with KV's own delay, that of a revocation. */
  keyTtlMs: 30_000,
  /** Ids without a record that an isolate remembers, apart from the rest so that invented ids evict nothing. */
  unknownKeysCached: 4_096,
  /** The same for how long: a key that was created after it was tried works soon. */
  unknownKeyTtlMs: 10_000,
  /** A copy of a key's record that takes longer is left aside, and the truth is read. */
  keyCopyMs: 1_000,
  /** The truth that takes longer counts as away: the request is refused with 503. */
  keyTruthMs: 5_000,
  /** Wrong keys from one address in an isolate, before more are refused without being looked up. */
  failedAttempts: 20,
  /** After this long, one more wrong key is looked up. */
  failedAttemptMs: 3_000,
  /** Addresses of which wrong keys are counted; the one that tried longest ago is forgotten first. */
  failingAddresses: 4_096,

  /**
   * Requests of one principal that an isolate counts before it hands them to the ledger: what a killed isolate loses, less one.
   * With the calls for leases there is less than one call in a hundred requests.
   */
  usageFlushRequests: 250,
  /** Fewer wait so long. Work behind an answer may take 30 s. */
  usageFlushMs: 10_000,
  /** After a ledger did not answer. */
  usageRetryMs: 5_000,
  /** Principals that an isolate counts for at the same time, and their days and models together: 1 MB. */
  usagePrincipals: 1_024,
  usageRows: 4_096,
  /** Models of a principal and a day that are counted apart; the others are counted together. */
  usageModels: 100,
  /** Days that a ledger keeps, so that a year can be compared with the one before: 40,000 rows at most. */
  usageDays: 400,
  /** Isolates whose last block a ledger remembers, so that none is booked twice. Each lives for hours. */
  usageSources: 10_000,
  /** Between two snapshots of a month in R2: each is a class A operation. */
  usageSnapshotMs: 60_000,
  /** A try to write a snapshot that takes longer is given up. */
  usageStoreMs: 10_000,
  /** A snapshot: 31 days of 102 rows of 400 bytes, and as much again. */
  usageSnapshotBytes: 3 * MiB,
  /** Days that one question for usage may be about. */
  usageQueryDays: 366,

  /** How long an isolate answers an operator with what it has read of traffic and origins: about as often as `verge top` asks. */
  operationsTtlMs: 2_000,
  /** The same for what is read from R2: usage, which is written once a minute, recent changes, and the list of models. */
  operationsStoreTtlMs: 10_000,
  /** A part of the report that takes longer is left out of it. */
  operationsPartMs: 5_000,
  /** Models in the report, those with the most requests first: a page of them for a person. */
  operationsModels: 100,
  /** Single isolates in the report, the busiest first: those that a person looks at. */
  operationsIsolates: 20,
  /** Callers in the report, those who spent most today first. The name and plan of each key are a read. */
  operationsCallers: 20,
  /** Callers whose month is added up, a read each. "npx verge usage" reads all. */
  operationsSnapshots: 200,
  /** Pages of a thousand names of snapshots that are looked through for those. */
  operationsUsagePages: 5,
  /** Entries of the audit log in the report. */
  operationsChanges: 20,
  /** Spans of one request: a cold one of a large model reads 80 chunks, each a span, and has ten others. */
  traceSpans: 256,
  /** Attributes of a span, and characters of one: names of the catalogue have 64. */
  traceAttributes: 32,
  traceAttributeLength: 256,
  /** Spans that wait for the collector: two megabytes. It is OpenTelemetry's own default. */
  traceQueueSpans: 2_048,
  /** Spans of one export: half a megabyte of JSON. */
  traceBatchSpans: 512,
  /** Spans wait so long for those of other requests. Work behind an answer may take 30 s, the exports included. */
  traceFlushMs: 2_000,
  /** A collector that has not answered by then is asked again later. */
  traceExportMs: 10_000,
  /** After a collector did not answer, or did not say when it can. */
  traceRestMs: 30_000,
  /** A collector's answer that is longer is not read. */
  traceAnswerBytes: 4 * KiB,
  /** Requests in a minute of an isolate that are recorded because a trusted caller asks for it. */
  traceAskedPerMinute: 60,
  /** The same, of requests that were drawn and refused before anybody knew who calls: a flood of them fills no queue. */
  traceRefusedPerMinute: 30,
  /** Requests that an isolate counts before it hands its metrics to a shard: one call in a hundred requests. */
  metricFlushRequests: 100,
  /** Fewer wait so long. Work behind an answer may take 30 s, and a block that fails is sent again within them. */
  metricFlushMs: 20_000,
  /** After a shard did not answer. */
  metricRetryMs: 3_000,
  /** A shard that takes longer to book a block, or to be read, counts as away. */
  metricStoreMs: 5_000,
  /** Series that an isolate counts between two blocks, and as many again of what is counted together: 1 MB. */
  metricSeries: 1_000,
  /** Models, versions and places that are told apart in a minute. */
  metricTraffic: 500,
  /** Durable Objects that share the isolates: one takes several hundred blocks a second, so these stand 100,000 requests a second. */
  metricShards: 4,
  /** Series of a shard, and as many again of what is counted together: half a kilobyte each, and a scrape reads all. */
  metricShardSeries: 8_000,
  /** A series of a model or version that no isolate has counted for so long is left out of scrapes. */
  metricSeriesMs: 7 * 86_400_000,
  /**
   * So much later it is forgotten: no window of a query is left that knows it. Where a shard is crowded, series that nobody
   * has counted for this time are forgotten at once.
   */
  metricCrowdedMs: 86_400_000,
  /** Series that a reader has shards forget at once, a row each. */
  metricForgets: 500,
  /** Minutes of traffic that a shard keeps: the last hour. */
  metricMinutes: 60,
  /** How long the gauges of an isolate count after it was heard last: it may be gone. */
  metricIsolateMs: 300_000,
  /** Isolates of a shard whose gauges a scrape reads. */
  metricIsolates: 500,
  /** How long a shard knows the last block of an isolate: no block is sent again later than a minute after. */
  metricSourceMs: 86_400_000,

  /** A canary's requests or comparisons after which an isolate reports: a canary that only fails is stopped by the first report. */
  canaryFlushRequests: 10,
  /** Fewer wait so long: one call of an object in five seconds for each isolate that the canary answers in. */
  canaryFlushMs: 5_000,
  /** After the object did not answer. */
  canaryRetryMs: 5_000,
  /** A report that takes longer is sent again. */
  canaryReportMs: 10_000,
  /** The stable version's requests count beside the canary's for so long: what disturbed them a minute ago says nothing of now. */
  canaryWindowMs: 60_000,
  /** Models with a canary that an isolate counts for at the same time: 300 bytes each. */
  canaryModels: 256,
  /** Isolates whose last report an object remembers, so that none is counted twice. Each lives for hours. */
  canarySources: 2_000,
  /** Requests in one report: no isolate sees more while an object is away. */
  canaryReportCount: 1e9,
  /** Characters of an isolate's name and of a digest. */
  canaryReportText: 128,
  /** A trial that nobody has reported of for so long may be of a model that was removed: no isolate has an alias for as long. */
  canaryForgottenMs: 600_000,
  /** A try to take a canary out that takes longer is made again. */
  canaryStopMs: 20_000,
  /** Between two tries at most, however often R2 has failed: the isolates have stopped using the canary meanwhile. */
  canaryStopRetryMs: 300_000,
  /** Pairs of times that an outside probe sends at once: ten minutes of one pair a second, in 30 kB. */
  probePairs: 600,
  probesBytes: 64 * KiB,
  /** Inputs and outputs of one comparison: held until its request has been answered and its second run is made. */
  shadowBytes: 4 * MiB,
  /** Elements of an output that are compared: 1 ms of work. */
  shadowElements: 65_536,
  /** Tokens of a text that are gone over again: as many as show that two versions write alike, and a run for each of them. */
  shadowTokens: 64,
  /** Comparisons of an isolate at the same time. Each holds `shadowBytes` at most. */
  shadowsAtOnce: 2,
  /** A comparison that takes longer is given up. Work behind an answer may take 30 s. */
  shadowMs: 15_000,

  /** Rows of one batch: an encoder of MiniLM's shape gains little beyond 16 texts of 16 tokens (bench/README.md). */
  batchRows: 32,
  /** How long a batch waits for company at most: as long as the quickest run of an encoder takes. */
  batchWaitMs: 2,
  /** Runs waiting for one model: four full batches. The last of them is answered after five. */
  batchQueue: 128,

  /** Origins of one Worker: more regions than any provider of GPUs has, and each is probed by the cron trigger. */
  origins: 32,
  /** Models that one origin may name; it may have the whole catalogue instead. */
  originModels: 256,
  /** Tries of one request at origins, the first included: a third region is worth asking, a fourth is late. */
  originAttempts: 3,
  /** With less of a caller's time left no origin is tried again: a connection to another continent takes as long. */
  originLeastTryMs: 250,
  /** Longest look at one origin. The cron trigger waits for the slowest. */
  originProbeMs: 5_000,
  /** Kept length of an origin's health report, in UTF-16 units. */
  originDetailLength: 200,
  /** The shared record of origins' health as text: 32 origins of half a kilobyte each, and as much again. */
  healthRecordLength: 32 * KiB,
  /** How long an isolate goes by the health it has read. KV itself keeps an old value for as long. */
  healthTtlMs: 30_000,
  /** A record older than this says nothing: its writer comes every second minute, and readers keep it a minute. */
  healthStaleMs: 180_000,
  /** Latency that the read may add to a request; the read continues afterwards. */
  healthWaitMs: 50,
  /** A read that takes longer belongs to a request that was killed, and another begins one. */
  healthReadMs: 5_000,

  /** One artifact for the native engine, outside any isolate: protobuf, and so ONNX in one piece, ends at 2 GiB. */
  nativeArtifactBytes: 2048 * MiB - 1,
} as const

export type Limits = { readonly [K in keyof typeof LIMITS]: number }
