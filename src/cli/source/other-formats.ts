import { safeName } from '../../onnx/errors.ts'
import { baseOf } from './paths.ts'

/** A format of models that Verge does not read: what it is, and the line that makes ONNX of it. */
interface OtherFormat {
  readonly what: string
  readonly name: RegExp
  /** Whether a file is one, by its first bytes. */
  readonly begins?: (bytes: Buffer) => boolean
  /** @param model the repository or folder that it is in */
  readonly line: (file: string, model?: string) => string
}

/** The command that writes a model of transformers, of the hub or of a folder with its config.json, to ONNX. */
export function exportLine(model = 'ORG/NAME'): string {
  return `optimum-cli export onnx --model ${model} onnx-model/`
}

const has = (text: string, at: number) => (bytes: Buffer) =>
  bytes.subarray(at, at + text.length).equals(Buffer.from(text, 'latin1'))

/** The first that fits counts: of a repository with several, the one with the shortest way to ONNX. */
const FORMATS: readonly OtherFormat[] = [
  {
    what: 'a file of safetensors, which are weights without a graph',
    name: /\.safetensors$/i,
    // The length of the header, and the header.
    begins: (bytes) => has('\0\0\0\0{"', 4)(bytes),
    line: (_file, model) => exportLine(model),
  },
  {
    what: 'an Ultralytics model in PyTorch',
    name: /(^|\/)[^/]*yolo[^/]*\.pt$/i,
    line: (file) => `yolo export model=${file} format=onnx`,
  },
  {
    what: 'a PyTorch file, which holds Python objects',
    name: /(\.(pt|pth|ckpt|pkl|joblib)|(^|\/)(pytorch_model|model)[^/]*\.bin)$/i,
    // Pickles of protocols 2 to 5.
    begins: ([first = 0, second = 0]) => first === 0x80 && second >= 2 && second <= 5,
    line: (_file, model) => exportLine(model),
  },
  {
    what: 'a GGUF file, which is for llama.cpp',
    name: /\.gguf$/i,
    begins: has('GGUF', 0),
    // What it was made from.
    line: () => exportLine(),
  },
  {
    what: 'a TensorFlow Lite file',
    name: /\.tflite$/i,
    begins: has('TFL3', 4),
    line: (file) => `python -m tf2onnx.convert --tflite ${file} --output model.onnx`,
  },
  {
    what: 'a TensorFlow SavedModel',
    name: /(^|\/)saved_model\.pb$/i,
    line: (_file, model = 'FOLDER') => `python -m tf2onnx.convert --saved-model ${model} --output model.onnx`,
  },
  {
    what: 'a Keras model',
    name: /\.keras$/i,
    line: (file) => `python -c "import keras; keras.saving.load_model('${file}').export('model.onnx', format='onnx')"`,
  },
  {
    what: 'a Keras model in HDF5',
    name: /\.(h5|hdf5)$/i,
    begins: has('\x89HDF\r\n\x1a\n', 0),
    line: (file) => `python -m tf2onnx.convert --keras ${file} --output model.onnx`,
  },
  {
    what: "a model in ONNX Runtime's own format, which is for one version of it",
    name: /\.ort$/i,
    begins: has('ORTM', 4),
    line: (_file, model) => exportLine(model),
  },
]

/** Why a file is no ONNX model and what to do, by how it begins; undefined where nothing is known of it. */
export function otherFormatOf(bytes: Buffer, path: string, label: string): string | undefined {
  return sentence(
    FORMATS.find(({ begins }) => begins?.(bytes) === true),
    path,
    label,
  )
}

/** The same by its name alone. */
export function otherFormatNamed(path: string, label: string): string | undefined {
  return sentence(
    FORMATS.find(({ name }) => name.test(path)),
    path,
    label,
  )
}

function sentence(format: OtherFormat | undefined, path: string, label: string): string | undefined {
  if (format === undefined) return undefined
  return `${label} is ${format.what}. Export the model to ONNX: ${format.line(shellName(baseOf(path)))}`
}

/** What a folder or a repository without an ONNX file has instead; undefined where nothing is known of its files. */
export function otherFormatIn(paths: readonly string[], label: string): string | undefined {
  for (const { line, name, what } of FORMATS) {
    const path = paths.find((each) => name.test(each))
    if (path === undefined) continue
    return `${safeName(path)} is ${what}. Export the model to ONNX: ${line(shellName(baseOf(path)), modelIn(label))}`
  }
  return undefined
}

/** The repository or folder that a label names, as commands take it. */
export function modelIn(label: string): string {
  return /^hf:([\w.-]+\/[\w.-]+)@/.exec(label)?.[1] ?? shellName(label)
}

/** A name as it can be copied into a shell, or a stand-in for one that would need quotes. */
function shellName(name: string): string {
  return /^\w[\w.+-]{0,99}$/.test(name) ? name : 'FILE'
}
