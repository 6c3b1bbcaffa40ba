/** Chooses how a model is trained: compiled when it can be, by TensorFlow.js when not, and says which in one line. */
import { ClientError } from '../errors.ts';
import type { ModelSpec, Trainer, TrainingEngine } from './engine.ts';
import { openNativeEngine } from './native/engine.ts';
import { openPortableEngine } from './portable/engine.ts';

interface Candidate {
  readonly engine: TrainingEngine;
  /** What speaks for it, in a few words. */
  readonly merit: string;
}

/** @param note is told the engine and why, each time a model is loaded */
export async function openTrainingEngine(note: (message: string) => void = () => undefined): Promise<TrainingEngine> {
  const candidates = await compilers();
  return {
    name: candidates[0]!.engine.name,
    load: (model: ModelSpec) => choose(candidates, model, note),
    dispose: () => {
      for (const { engine } of candidates) engine.dispose();
    },
  };
}

/** The fastest first. */
async function compilers(): Promise<readonly Candidate[]> {
  const native = await openNativeEngine();
  const portable = openPortableEngine();
  if ('missing' in native)
    return [{ engine: portable, merit: `the model is compiled into one step of WebAssembly; ${native.missing}` }];
  return [
    { engine: native, merit: 'the model is compiled into one graph for ONNX Runtime' },
    { engine: portable, merit: 'the model is compiled into one step of WebAssembly' },
  ];
}

async function choose(
  candidates: readonly Candidate[],
  model: ModelSpec,
  note: (message: string) => void,
): Promise<Trainer> {
  let reason = '';
  for (const { engine, merit } of candidates) {
    try {
      const trainer = await engine.load(model);
      note(`training with ${engine.name}: ${merit}`);
      return trainer;
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'MODEL_UNSUPPORTED') throw error;
      reason = error.message.replace(/^MODEL_UNSUPPORTED: /, '');
    }
  }
  // Loaded only when it is needed: half a second, and one global object.
  const { openTfjsEngine } = await import('./tfjs/engine.ts');
  const tfjs = await openTfjsEngine();
  const trainer = await tfjs.load(model);
  note(`training with ${tfjs.name}, since the model cannot be compiled: ${reason}`);
  return trainer;
}
