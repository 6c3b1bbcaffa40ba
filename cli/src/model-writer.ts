/** Lets a coordinator serve ONNX models, by the compiler of the client: loaded when the first one is asked for. */
import type { ModelWriter } from '@carapace/coordinator';

export const modelWriter: ModelWriter = {
  onnx: async ({ topology, tensors }) => {
    const { ClientError, onnxPieces } = await import('@carapace/client-sdk');
    try {
      return onnxPieces(topology, tensors);
    } catch (error) {
      if (error instanceof ClientError && error.code === 'MODEL_UNSUPPORTED') return { unsupported: error.message };
      throw error;
    }
  },
};
