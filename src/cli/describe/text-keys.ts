import { LIMITS } from '../../core/limits.ts'
import { checkKeys, type Finding, type KeyRule, type KeyRules } from './keys.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, type Settings } from './settings.ts'

type Files = ReadonlyMap<string, string>

const SAVE_ANEW =
  "save both again: from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('.').save_pretrained('.')"

/**
 * A setting of `tokenizer_config.json` that transformers writes over the one in `tokenizer.json` when it opens both. The
 * server reads `tokenizer.json` alone.
 * @param stepOf the steps of the file that have it
 */
function sameAs(
  tokenizer: Settings,
  key: string,
  name: string,
  stepOf: (file: Settings) => readonly Settings[],
): KeyRule {
  return (value): Finding => {
    const other = stepOf(tokenizer).find(
      (step) => step[name] !== undefined && step[name] !== null && step[name] !== value,
    )
    return other === undefined
      ? undefined
      : {
          problem: `tokenizer_config.json says "${key}": ${JSON.stringify(value)}, and tokenizer.json ${JSON.stringify(other[name])}; ${SAVE_ANEW}`,
        }
  }
}

/** A step of a `tokenizer.json` and, of a sequence, its parts, if they are of a type. */
function steps(value: unknown, type: string): Settings[] {
  const step = objectOf(value)
  if (step === undefined) return []
  const parts = [step.normalizers, step.pretokenizers].flatMap((list) =>
    Array.isArray(list) ? (list as unknown[]) : [],
  )
  return [...(step.type === type ? [step] : []), ...parts.flatMap((part) => steps(part, type))]
}

/** Keys of `tokenizer_config.json`, as transformers writes it. */
function tokenizerRules(tokenizer: Settings): KeyRules {
  const bert = (file: Settings): Settings[] => steps(file.normalizer, 'BertNormalizer')
  const bytes = (file: Settings): Settings[] => steps(file.pre_tokenizer, 'ByteLevel')
  return {
    model_max_length: 'read',
    truncation_side: 'read',
    chat_template: 'read',
    bos_token: 'read',
    eos_token: 'read',
    do_lower_case: sameAs(tokenizer, 'do_lower_case', 'lowercase', bert),
    strip_accents: sameAs(tokenizer, 'strip_accents', 'strip_accents', bert),
    tokenize_chinese_chars: sameAs(tokenizer, 'tokenize_chinese_chars', 'handle_chinese_chars', bert),
    add_prefix_space: sameAs(tokenizer, 'add_prefix_space', 'add_prefix_space', bytes),
    split_special_tokens: (value) =>
      value === true ? { note: 'special tokens in a text are read as such; transformers would split them' } : undefined,
    ...irrelevant(
      // The same tokens stand in tokenizer.json.
      'added_tokens_decoder',
      'additional_special_tokens',
      'extra_special_tokens',
      'model_specific_special_tokens',
      'cls_token',
      'sep_token',
      'mask_token',
      'unk_token',
      'pad_token',
      'add_bos_token',
      'add_eos_token',
      // Padding has a mask.
      'padding_side',
      'pad_to_multiple_of',
      'pad_token_type_id',
      'model_input_names',
      // Places in a text, and what tokens become when they are written.
      'trim_offsets',
      'clean_up_tokenization_spaces',
      'spaces_between_special_tokens',
      'errors',
      // Keys about the creation of the tokenizer.
      'tokenizer_class',
      'processor_class',
      'tokenizer_file',
      'vocab_file',
      'merges_file',
      'special_tokens_map_file',
      'name_or_path',
      'auto_map',
      'backend',
      'is_local',
      'from_slow',
      'use_fast',
      'legacy',
      'sp_model_kwargs',
      // Of tokenizers in Python alone; tokenizer.json has what follows from them.
      'do_basic_tokenize',
      'never_split',
      'wordpieces_prefix',
      'remove_space',
      'keep_accents',
      // Arguments of a call that were saved with it.
      'max_length',
      'stride',
      'truncation',
      'truncation_strategy',
      'padding',
    ),
  }
}

function irrelevant(...keys: string[]): KeyRules {
  return Object.fromEntries(keys.map((key) => [key, 'irrelevant' as const]))
}

/** What `tokenizer_config.json` holds that the server does otherwise, or not at all. */
export async function tokenizerFindings(files: Files): Promise<LabelOutcome<readonly string[]>> {
  const settings = await readSettings(files, 'tokenizer_config.json')
  if (settings === undefined) return { value: [] }
  const tokenizer = (await readSettings(files, 'tokenizer.json', LIMITS.originTokenizerBytes)) ?? {}
  const found = checkKeys('tokenizer_config.json', settings, tokenizerRules(tokenizer))
  if ('problem' in found) return found
  const dropout = objectOf(tokenizer.model)?.dropout
  const note = 'the dropout in tokenizer.json is for training only and has no effect'
  return { value: typeof dropout === 'number' && dropout > 0 ? [...found.value, note] : found.value }
}

const POOLING_RULES: KeyRules = {
  ...Object.fromEntries(
    ['cls_token', 'mean_tokens', 'max_tokens', 'mean_sqrt_len_tokens', 'weightedmean_tokens', 'lasttoken'].map(
      (mode) => [`pooling_mode_${mode}`, 'read' as const],
    ),
  ),
  pooling_mode: 'read',
  include_prompt: 'read',
  ...irrelevant('word_embedding_dimension', 'embedding_dimension'),
}

const SENTENCE_RULES: KeyRules = { max_seq_length: 'read', do_lower_case: 'read' }

/** How the note on models that were trained for another comparison begins. */
export const COSINE_NOTE = 'Verge compares sentences by cosine'

const PROMPT_RULES: KeyRules = {
  prompts: 'read',
  default_prompt_name: 'read',
  similarity_fn_name: (value) =>
    value === 'cosine'
      ? undefined
      : {
          note: `${COSINE_NOTE} similarity; the model was trained for ${JSON.stringify(value)}`,
        },
  // ColBERT's, as PyLate writes them.
  query_prefix: 'read',
  document_prefix: 'read',
  query_length: 'read',
  document_length: 'read',
  attend_to_expansion_tokens: 'read',
  do_query_expansion: 'read',
  skiplist_words: 'read',
  ...irrelevant('__version__', 'model_type'),
}

/** What sentence-transformers' files hold that the server does not know. */
export async function sentenceFindings(files: Files): Promise<LabelOutcome<readonly string[]>> {
  const notes: string[] = []
  for (const [name, rules] of [
    ['sentence_bert_config.json', SENTENCE_RULES],
    ['1_Pooling/config.json', POOLING_RULES],
    ['config_sentence_transformers.json', PROMPT_RULES],
  ] as const) {
    const settings = await readSettings(files, name)
    const found = checkKeys(name, settings ?? {}, rules)
    if ('problem' in found) return found
    notes.push(...found.value)
  }
  return { value: notes }
}

const ASKED: KeyRule = (): Finding => ({
  note: 'each request sets its own sampling parameters: the values in generation_config.json are not used',
})

const GENERATION_RULES: KeyRules = {
  eos_token_id: 'read',
  temperature: ASKED,
  ...irrelevant(
    'bos_token_id',
    'pad_token_id',
    'decoder_start_token_id',
    'transformers_version',
    '_from_model_config',
    'use_cache',
    'cache_implementation',
    'return_dict_in_generate',
    'output_attentions',
    'output_hidden_states',
    'output_scores',
    'max_length',
    'max_new_tokens',
    // One note covers all sampling keys; requests set sampling.
    'do_sample',
    'top_k',
    'top_p',
    'min_p',
    'typical_p',
    'num_return_sequences',
  ),
}

/** What `generation_config.json` holds that the server does not do. */
export async function generationFindings(files: Files): Promise<LabelOutcome<readonly string[]>> {
  return checkKeys(
    'generation_config.json',
    (await readSettings(files, 'generation_config.json')) ?? {},
    GENERATION_RULES,
  )
}
