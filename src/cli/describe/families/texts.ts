import type { Families } from './family.ts'

/** Models of texts, and of texts beside pictures or sounds. Their tokenizer.json has to lie beside them. */
export const TEXTS: Families = {
  'bge-m3': {
    task: 'feature-extraction',
    about: 'bge-m3: dense vectors, and sparse ones and vectors of tokens where the export has them',
    source: 'https://huggingface.co/BAAI/bge-m3',
    preprocess: { embedding: { pooling: 'cls', normalize: true } },
  },
  splade: {
    task: 'feature-extraction',
    about: 'SPLADE: sparse vectors of scores for the vocabulary',
    source: 'https://huggingface.co/naver/splade-cocondenser-ensembledistil',
    preprocess: { embedding: { pooling: 'none', normalize: false, sparse: { output: 'logits', form: 'logits' } } },
  },
  colbert: {
    task: 'feature-extraction',
    about: 'ColBERT: a vector for each token',
    source: 'https://huggingface.co/colbert-ir/colbertv2.0',
    config: { architectures: ['HF_ColBERT'] },
  },
  'clip-vit': {
    task: 'zero-shot-image-classification',
    about: 'CLIP with both encoders (--preset clip is its image preprocessing alone)',
    source: 'https://huggingface.co/openai/clip-vit-base-patch32',
    config: { architectures: ['CLIPModel'], model_type: 'clip' },
    processor: {
      image_processor_type: 'CLIPImageProcessor',
      ...{ do_resize: true, size: { shortest_edge: 224 }, resample: 3 },
      ...{ do_center_crop: true, crop_size: { height: 224, width: 224 } },
      ...{ do_normalize: true, image_mean: [0.48145466, 0.4578275, 0.40821073] },
      image_std: [0.26862954, 0.26130258, 0.27577711],
    },
  },
  siglip: {
    task: 'zero-shot-image-classification',
    about: 'SigLIP with both encoders',
    source: 'https://huggingface.co/google/siglip-base-patch16-224',
    config: { architectures: ['SiglipModel'], model_type: 'siglip' },
    processor: {
      image_processor_type: 'SiglipImageProcessor',
      ...{ do_resize: true, size: { height: 224, width: 224 }, resample: 3 },
      ...{ do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] },
    },
  },
  clap: {
    task: 'zero-shot-audio-classification',
    about: 'CLAP with both encoders',
    source: 'https://huggingface.co/laion/clap-htsat-unfused',
    config: { architectures: ['ClapModel'], model_type: 'clap' },
    processor: {
      feature_extractor_type: 'ClapFeatureExtractor',
      ...{ feature_size: 64, sampling_rate: 48_000, fft_window_size: 1024, hop_length: 480 },
      ...{ frequency_min: 50, frequency_max: 14_000, max_length_s: 10, nb_max_samples: 480_000 },
      ...{ padding: 'repeatpad', truncation: 'rand_trunc' },
    },
  },
}
