/** The reference for convolutions and pooling: every pair of an output pixel and an input pixel under its window, one by one. */
import type { Call, Numbers } from './interpreter-call.ts';
import type { Shape, Window } from './operators.ts';

type ImageKind =
  | 'convolution'
  | 'convolution-input'
  | 'convolution-filter'
  | 'depthwise'
  | 'depthwise-input'
  | 'depthwise-filter'
  | 'max-pool'
  | 'max-pool-input'
  | 'average-pool'
  | 'average-pool-input';

/** Pixels as numbers: of the input, of the output, of the filter; the image and output are [batch, height, width, ...]. */
function eachPair(
  image: Shape,
  result: Shape,
  { size, strides, dilations, padding }: Window,
  visit: (input: number, output: number, tap: number) => void,
): void {
  const [batch, height, width] = image as [number, number, number];
  const [, rows, columns] = result as [number, number, number];
  for (let b = 0; b < batch; b++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        for (let i = 0; i < size[0]; i++)
          for (let j = 0; j < size[1]; j++) {
            const top = y * strides[0] + i * dilations[0] - padding[0];
            const left = x * strides[1] + j * dilations[1] - padding[1];
            if (top < 0 || top >= height || left < 0 || left >= width) continue;
            visit((b * height + top) * width + left, (b * rows + y) * columns + x, i * size[1] + j);
          }
}

/** For each pair every pair of channels: positions in image, output and filter. */
function eachTap(
  image: Shape,
  result: Shape,
  window: Window,
  visit: (input: number, output: number, filter: number) => void,
): void {
  const [from, to] = [image[3]!, result[3]!];
  eachPair(image, result, window, (input, output, tap) => {
    for (let c = 0; c < from; c++)
      for (let o = 0; o < to; o++) visit(input * from + c, output * to + o, (tap * from + c) * to + o);
  });
}

/** The same where each channel has its own filters: output channel c m + i is filter i of channel c. */
function eachDepthTap(
  image: Shape,
  result: Shape,
  window: Window,
  visit: (input: number, output: number, filter: number) => void,
): void {
  const [from, to] = [image[3]!, result[3]!];
  eachPair(image, result, window, (input, output, tap) => {
    for (let o = 0; o < to; o++) visit(input * from + Math.floor((o * from) / to), output * to + o, tap * to + o);
  });
}

/** How many pixels of the image lie under each output pixel. */
function counts(image: Shape, result: Shape, window: Window): Float64Array {
  const pixels = new Float64Array(result[0]! * result[1]! * result[2]!);
  eachPair(image, result, window, (_input, output) => (pixels[output]! += 1));
  return pixels;
}

export const imageLoop: { readonly [K in ImageKind]: (call: Call<K>) => void } = {
  convolution: ({ operator: { window }, inputs: [x, filter], shapes, shape, output }) =>
    summed(output, (sums) =>
      eachTap(shapes[0]!, shape, window, (from, to, tap) => (sums[to]! += x![from]! * filter![tap]!)),
    ),
  'convolution-input': ({ operator: { window }, inputs: [dy, filter], shapes, shape, output }) =>
    summed(output, (sums) =>
      eachTap(shape, shapes[0]!, window, (from, to, tap) => (sums[from]! += dy![to]! * filter![tap]!)),
    ),
  'convolution-filter': ({ operator: { window }, inputs: [x, dy], shapes, output }) =>
    summed(output, (sums) =>
      eachTap(shapes[0]!, shapes[1]!, window, (from, to, tap) => (sums[tap]! += x![from]! * dy![to]!)),
    ),
  depthwise: ({ operator: { window }, inputs: [x, filter], shapes, shape, output }) =>
    summed(output, (sums) =>
      eachDepthTap(shapes[0]!, shape, window, (from, to, tap) => (sums[to]! += x![from]! * filter![tap]!)),
    ),
  'depthwise-input': ({ operator: { window }, inputs: [dy, filter], shapes, shape, output }) =>
    summed(output, (sums) =>
      eachDepthTap(shape, shapes[0]!, window, (from, to, tap) => (sums[from]! += dy![to]! * filter![tap]!)),
    ),
  'depthwise-filter': ({ operator: { window }, inputs: [x, dy], shapes, output }) =>
    summed(output, (sums) =>
      eachDepthTap(shapes[0]!, shapes[1]!, window, (from, to, tap) => (sums[tap]! += x![from]! * dy![to]!)),
    ),
  'max-pool': ({ operator: { window }, inputs: [x], shapes, shape, output }) => {
    const channels = shape[3]!;
    output.fill(-Infinity);
    eachPair(shapes[0]!, shape, window, (from, to) => {
      for (let c = 0; c < channels; c++) {
        const at = to * channels + c;
        output[at] = Math.max(output[at]!, x![from * channels + c]!);
      }
    });
  },
  'max-pool-input': ({ operator: { window }, inputs: [x, y, dy], shapes, shape, output }) => {
    const channels = shape[3]!;
    const found = new Uint8Array(y!.length);
    eachPair(shape, shapes[1]!, window, (from, to) => {
      for (let c = 0; c < channels; c++) {
        const at = to * channels + c;
        if (found[at] === 1 || x![from * channels + c] !== y![at]) continue;
        found[at] = 1;
        output[from * channels + c]! += dy![at]!;
      }
    });
  },
  'average-pool': ({ operator: { window }, inputs: [x], shapes, shape, output }) => {
    const channels = shape[3]!;
    const pixels = counts(shapes[0]!, shape, window);
    eachPair(shapes[0]!, shape, window, (from, to) => {
      for (let c = 0; c < channels; c++) output[to * channels + c]! += x![from * channels + c]! / pixels[to]!;
    });
  },
  'average-pool-input': ({ operator: { window }, inputs: [dy], shapes, shape, output }) => {
    const channels = shape[3]!;
    const pixels = counts(shape, shapes[0]!, window);
    eachPair(shape, shapes[0]!, window, (from, to) => {
      for (let c = 0; c < channels; c++) output[from * channels + c]! += dy![to * channels + c]! / pixels[to]!;
    });
  },
};

/** In binary64 whatever the precision, rounded once. */
function summed(output: Numbers, into: (sums: Float64Array) => void): void {
  const sums = new Float64Array(output.length);
  into(sums);
  output.set(sums);
}
