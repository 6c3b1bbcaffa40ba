/** Convolutions and pooling as ONNX nodes, with the channels before the pixels; filters are turned on the way in and out. */
import { sizeOf } from '../plan/operators.ts';
import type { Shape, Value, Window } from '../plan/operators.ts';
import { planeShape, planesOf, rowsOf } from './emission.ts';
import type { Emission, EmissionRule } from './emission.ts';
import type { Attributes } from './onnx.ts';

/** [kh, kw, c, o] -> [o, c, kh, kw], and back. */
const FILTER_OUT: readonly number[] = [3, 2, 0, 1];
const SWAP: readonly number[] = [1, 0, 2, 3];

function attributes({ size, strides, dilations, padding }: Window): Attributes {
  return { kernel_shape: size, strides, dilations, pads: padding };
}

/** What is left over at the bottom and right when the window does not fit evenly: the input there has no gradient. */
function leftOver(image: Shape, result: Shape, { size, strides, dilations, padding }: Window): [number, number] {
  const along = (axis: 0 | 1): number =>
    image[axis + 1]! +
    padding[axis] +
    padding[axis + 2]! -
    ((result[axis + 1]! - 1) * strides[axis] + (size[axis] - 1) * dilations[axis] + 1);
  return [along(0), along(1)];
}

/** Zeros below and to the right of a result, as far as the window never came. */
function extended({ onnx }: Emission, name: string, [rows, columns]: readonly [number, number]): string {
  if (rows === 0 && columns === 0) return name;
  return onnx.node('Pad', [name, onnx.ints([0, 0, 0, 0, 0, 0, rows, columns])]);
}

/** The gradient of a convolution by its input. Padding at the end is less by what is left over, the rest is zeros. */
function transposed(
  emission: Emission,
  {
    dy,
    filter,
    window,
    image,
    result,
    group,
  }: {
    readonly dy: string;
    readonly filter: string;
    readonly window: Window;
    readonly image: Shape;
    readonly result: Shape;
    readonly group: number;
  },
): string {
  const { onnx } = emission;
  const over = leftOver(image, result, window);
  const [top, left, bottom, right] = window.padding;
  const ends = [bottom - over[0], right - over[1]] as const;
  const pads = [top, left, Math.max(ends[0], 0), Math.max(ends[1], 0)];
  const { size, strides, dilations } = window;
  const settings = { kernel_shape: size, strides, dilations, pads, group };
  return extended(emission, onnx.node('ConvTranspose', [dy, filter], settings), [
    Math.max(-ends[0], 0),
    Math.max(-ends[1], 0),
  ]);
}

/** A sum over pixels is a convolution whose strides and dilations have changed places. Cut to the size of the filter. */
function filterSums(
  { onnx }: Emission,
  x: string,
  dy: string,
  window: Window,
  rows: readonly [number, number],
  group: number,
): string {
  const { size, strides, dilations, padding } = window;
  const settings = { kernel_shape: rows, strides: dilations, dilations: strides, pads: padding, group };
  const sums = onnx.node('Conv', [x, dy], settings);
  return onnx.node('Slice', [sums, onnx.ints([0, 0]), onnx.ints(size), onnx.ints([2, 3])]);
}

const convolution: EmissionRule<'convolution'> = ({
  emission,
  onnx,
  operator: { window },
  value,
  inputs: [x, filter],
}) => {
  const turned = onnx.node('Transpose', [rowsOf(emission, filter!)], { perm: FILTER_OUT });
  emission.planes.set(value, onnx.node('Conv', [planesOf(emission, x!), turned], attributes(window)));
};

const convolutionInput: EmissionRule<'convolution-input'> = (site) => {
  const { emission, onnx, operator, value, inputs } = site;
  const [dy, filter] = inputs as [Value, Value];
  const turned = onnx.node('Transpose', [rowsOf(emission, filter)], { perm: FILTER_OUT });
  const result = transposed(emission, {
    dy: planesOf(emission, dy),
    filter: turned,
    window: operator.window,
    image: value.shape,
    result: dy.shape,
    group: 1,
  });
  emission.planes.set(value, result);
};

const convolutionFilter: EmissionRule<'convolution-filter'> = ({
  emission,
  onnx,
  operator: { window },
  value,
  inputs,
}) => {
  const [x, dy] = inputs as [Value, Value];
  const images = onnx.node('Transpose', [planesOf(emission, x)], { perm: SWAP });
  const filters = onnx.node('Transpose', [planesOf(emission, dy)], { perm: SWAP });
  const sums = filterSums(emission, images, filters, window, [dy.shape[1]!, dy.shape[2]!], 1);
  emission.rows.set(value, onnx.node('Transpose', [sums], { perm: [2, 3, 0, 1] }));
};

/** [kh, kw, c, m] -> [c m, 1, kh, kw]. */
function depthFilter({ onnx, ...emission }: Emission, filter: Value): string {
  const [rows, columns, channels, each] = filter.shape as [number, number, number, number];
  const turned = onnx.node('Transpose', [rowsOf({ onnx, ...emission }, filter)], { perm: [2, 3, 0, 1] });
  return onnx.node('Reshape', [turned, onnx.ints([channels * each, 1, rows, columns])]);
}

const depthwise: EmissionRule<'depthwise'> = ({ emission, onnx, operator: { window }, value, inputs: [x, filter] }) => {
  const settings = { ...attributes(window), group: x!.shape[3]! };
  emission.planes.set(value, onnx.node('Conv', [planesOf(emission, x!), depthFilter(emission, filter!)], settings));
};

const depthwiseInput: EmissionRule<'depthwise-input'> = ({ emission, operator: { window }, value, inputs }) => {
  const [dy, filter] = inputs as [Value, Value];
  const result = transposed(emission, {
    dy: planesOf(emission, dy),
    filter: depthFilter(emission, filter),
    window,
    image: value.shape,
    result: dy.shape,
    group: value.shape[3]!,
  });
  emission.planes.set(value, result);
};

/** Images of all examples side by side, [1, c b, h, w]; each group has the b images of one channel. */
const depthwiseFilter: EmissionRule<'depthwise-filter'> = ({ emission, onnx, operator: { window }, value, inputs }) => {
  const [x, dy] = inputs as [Value, Value];
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const each = value.shape[3]!;
  const images = onnx.node('Transpose', [planesOf(emission, x)], { perm: SWAP });
  const beside = onnx.node('Reshape', [images, onnx.ints([1, channels * batch, height, width])]);
  const filters = onnx.node('Transpose', [planesOf(emission, dy)], { perm: SWAP });
  const sums = filterSums(emission, beside, filters, window, [dy.shape[1]!, dy.shape[2]!], channels);
  const apart = onnx.node('Reshape', [sums, onnx.ints([channels, each, ...window.size])]);
  emission.rows.set(value, onnx.node('Transpose', [apart], { perm: [2, 3, 0, 1] }));
};

function overlaps({ size, strides }: Window): boolean {
  return size[0] > strides[0] || size[1] > strides[1];
}

const maxPoolInput: EmissionRule<'max-pool-input'> = ({ emission, onnx, operator: { window }, value, inputs }) => {
  const [, y, dy] = inputs as [Value, Value, Value];
  const at = emission.indices!.get(y)!;
  const shape = planeShape(value.shape);
  const by = planesOf(emission, dy);
  if (!overlaps(window)) {
    const settings = { kernel_shape: window.size, strides: window.strides };
    emission.planes.set(value, onnx.node('MaxUnpool', [by, at, onnx.ints(shape)], settings));
    return;
  }
  const flat = (name: string, size: number): string => onnx.node('Reshape', [name, onnx.ints([size])]);
  const zeros = onnx.node('ConstantOfShape', [onnx.ints([sizeOf(shape)])]);
  const operands = [zeros, flat(at, sizeOf(y.shape)), flat(by, sizeOf(y.shape))];
  const sums = onnx.node('ScatterElements', operands, { axis: 0, reduction: 'add' });
  emission.planes.set(value, onnx.node('Reshape', [sums, onnx.ints(shape)]));
};

/** How many pixels of the image lie under each pixel of the result: [1, 1, oh, ow]. */
function counts(image: Shape, result: Shape, { size, strides, padding }: Window): number[] {
  const along = (axis: 0 | 1): number[] =>
    Array.from({ length: result[axis + 1]! }, (_value, at) => {
      const from = at * strides[axis] - padding[axis];
      return Math.min(image[axis + 1]!, from + size[axis]) - Math.max(0, from);
    });
  return along(0).flatMap((rows) => along(1).map((columns) => rows * columns));
}

/** Each pixel's share, then a transposed convolution with ones, channel by channel. */
const averagePoolInput: EmissionRule<'average-pool-input'> = ({
  emission,
  onnx,
  operator: { window },
  value,
  inputs: [dy],
}) => {
  const [, rows, columns, channels] = dy!.shape as [number, number, number, number];
  const shares = counts(value.shape, dy!.shape, window).map((count) => 1 / count);
  const share = onnx.node('Mul', [planesOf(emission, dy!), onnx.float(shares, [1, 1, rows, columns])]);
  const ones = onnx.float(Array<number>(channels * window.size[0] * window.size[1]).fill(1), [
    channels,
    1,
    ...window.size,
  ]);
  const result = transposed(emission, {
    dy: share,
    filter: ones,
    window,
    image: value.shape,
    result: dy!.shape,
    group: channels,
  });
  emission.planes.set(value, result);
};

export const imageRules: {
  readonly convolution: EmissionRule<'convolution'>;
  readonly 'convolution-input': EmissionRule<'convolution-input'>;
  readonly 'convolution-filter': EmissionRule<'convolution-filter'>;
  readonly depthwise: EmissionRule<'depthwise'>;
  readonly 'depthwise-input': EmissionRule<'depthwise-input'>;
  readonly 'depthwise-filter': EmissionRule<'depthwise-filter'>;
  readonly 'max-pool': EmissionRule<'max-pool'>;
  readonly 'max-pool-input': EmissionRule<'max-pool-input'>;
  readonly 'average-pool': EmissionRule<'average-pool'>;
  readonly 'average-pool-input': EmissionRule<'average-pool-input'>;
} = {
  convolution,
  'convolution-input': convolutionInput,
  'convolution-filter': convolutionFilter,
  depthwise,
  'depthwise-input': depthwiseInput,
  'depthwise-filter': depthwiseFilter,
  'max-pool': ({ emission, onnx, operator: { window }, value, inputs: [x] }) => {
    const { planes, indices } = emission;
    const [result, at] = onnx.nodes('MaxPool', [planesOf(emission, x!)], indices === null ? 1 : 2, attributes(window));
    planes.set(value, result!);
    indices?.set(value, at!);
  },
  'max-pool-input': maxPoolInput,
  'average-pool': ({ emission, onnx, operator: { window }, value, inputs: [x] }) => {
    const { size, strides, padding } = window;
    const settings = { kernel_shape: size, strides, pads: padding };
    emission.planes.set(value, onnx.node('AveragePool', [planesOf(emission, x!)], settings));
  },
  'average-pool-input': averagePoolInput,
};
