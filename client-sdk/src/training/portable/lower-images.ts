/** Convolutions and pooling as instructions. The kernels want images with their zeros around them; those are made here, once for each. */
import { sizeOf } from '../plan/operators.ts';
import type { Shape, Value, Window } from '../plan/operators.ts';
import { move, placeOf } from './lowering.ts';
import type { Lowering, LoweringRule } from './lowering.ts';
import { CODE } from './program.ts';
import type { Place } from './program.ts';

type Image = readonly [batch: number, height: number, width: number, channels: number];

interface Padded {
  readonly place: Place;
  readonly shape: Image;
}

const DOTS: Pick<Window, 'strides'> = { strides: [1, 1] };
/** Below this many channels the filter's gradient goes by way of the windows written out. */
const FEW_CHANNELS = 4;

function pair([first, second]: readonly [number, number]): number {
  return (first << 16) | second;
}

function imageSteps([, height, width, channels]: Image): number[] {
  return [height * width * channels, width * channels, channels, 1];
}

/** With zeros around, and `spread` - 1 between: pixel (y, x) goes to (top + y spread, left + x spread). */
function surrounded(
  lowering: Lowering,
  x: Value,
  [top, left, bottom, right]: Window['padding'],
  spread: readonly [number, number] = [1, 1],
): Padded {
  const image = x.shape as unknown as Image;
  const [batch, height, width, channels] = image;
  const along = (length: number, by: number): number => (length - 1) * by + 1;
  const shape = [
    batch,
    along(height, spread[0]) + top + bottom,
    along(width, spread[1]) + left + right,
    channels,
  ] as const;
  if (sizeOf(shape) === sizeOf(image)) return { place: placeOf(lowering, x), shape };
  const key = `${x.id} ${top} ${left} ${shape.join()} ${spread.join()}`;
  const known = lowering.padded.get(key);
  if (known !== undefined) return { place: known, shape };
  const { program } = lowering;
  const place = program.buffer(sizeOf(shape));
  program.emit(CODE.fill, [place, { real: 0 }, sizeOf(shape)]);
  const to = imageSteps(shape);
  const inside = { buffer: place.buffer, offset: 4 * (top * to[1]! + left * to[2]!) };
  move(program, {
    shape: image,
    from: imageSteps(image),
    to: [to[0]!, to[1]! * spread[0], to[2]! * spread[1], 1],
    source: placeOf(lowering, x),
    target: inside,
  });
  lowering.padded.set(key, place);
  return { place, shape };
}

/** Words 5 to 12 of an instruction with a window. */
function windowWords(image: Image, { size, strides, dilations }: Window, result: Shape): number[] {
  return [image[1], image[2], image[3], pair(size), pair(strides), pair(dilations), result[1]!, result[2]!];
}

function reserve({ program }: Lowering, { size }: Window, channels: number, filters: number, pixels: number): void {
  const wide = 8 * Math.ceil(filters / 8);
  const depth = size[1] * channels;
  program.reserve(depth, Math.max(depth, 512, pixels) * wide);
}

/** [kh, kw, c, o] turned about its middle, [kh, kw, o, c]: a gradient by the input is a convolution with it. */
function turned({ program, ...lowering }: Lowering, filter: Value): Place {
  const [rows, columns, channels, filters] = filter.shape as unknown as Image;
  const target = program.buffer(sizeOf(filter.shape));
  const own = [columns * channels * filters, channels * filters, filters, 1] as const;
  const { buffer, offset } = placeOf({ program, ...lowering }, filter);
  move(program, {
    shape: [rows, columns, filters, channels],
    from: [-own[0], -own[1], 1, filters],
    to: [columns * channels * filters, channels * filters, channels, 1],
    source: { buffer, offset: offset + 4 * ((rows - 1) * own[0] + (columns - 1) * own[1]) },
    target,
  });
  return target;
}

const convolution: LoweringRule<'convolution'> = ({
  lowering,
  program,
  operator: { window },
  value,
  inputs: [x, filter],
}) => {
  const { place, shape } = surrounded(lowering, x!, window.padding);
  const target = program.buffer(sizeOf(value.shape));
  const filters = filter!.shape[3]!;
  reserve(lowering, window, shape[3], filters, 0);
  const words = windowWords(shape, window, value.shape);
  program.emit(CODE.convolve, [place, placeOf(lowering, filter!), target, shape[0], ...words, filters]);
  return target;
};

/** dy with zeros between its pixels where the window strides, around it what makes the result as large as the input was. */
const convolutionInput: LoweringRule<'convolution-input'> = (site) => {
  const { lowering, program, operator, value, inputs } = site;
  const { window } = operator;
  const [dy, filter] = inputs as [Value, Value];
  const around = ([0, 1] as const).map((axis) => {
    const reach = (window.size[axis] - 1) * window.dilations[axis];
    const spread = (dy.shape[axis + 1]! - 1) * window.strides[axis] + 1;
    const before = reach - window.padding[axis];
    return [before, value.shape[axis + 1]! + reach - spread - before] as const;
  });
  const [[top, bottom], [left, right]] = around as [readonly [number, number], readonly [number, number]];
  const { place, shape } = surrounded(lowering, dy, [top, left, bottom, right], window.strides);
  const target = program.buffer(sizeOf(value.shape));
  const channels = value.shape[3]!;
  reserve(lowering, window, shape[3], channels, 0);
  const words = windowWords(shape, { ...window, ...DOTS }, value.shape);
  program.emit(CODE.convolve, [place, turned(lowering, filter), target, shape[0], ...words, channels]);
  return target;
};

const convolutionFilter: LoweringRule<'convolution-filter'> = (site) => {
  const { lowering, program, operator, value, inputs } = site;
  const { window } = operator;
  const [x, dy] = inputs as [Value, Value];
  const { place, shape } = surrounded(lowering, x, window.padding);
  const target = program.buffer(sizeOf(value.shape));
  const filters = value.shape[3]!;
  const words = windowWords(shape, window, dy.shape);
  if (shape[3] % FEW_CHANNELS === 0) {
    reserve(lowering, window, shape[3], filters, dy.shape[1]! * dy.shape[2]!);
    program.emit(CODE.filterGradient, [place, placeOf(lowering, dy), target, shape[0], ...words, filters]);
    return target;
  }
  const depth = sizeOf(value.shape) / filters;
  const pixels = sizeOf(dy.shape) / filters;
  const written = program.buffer(pixels * depth);
  program.emit(CODE.windows, [place, written, 0, shape[0], ...words]);
  const operands = [1, depth, filters, pixels, written, placeOf(lowering, dy), target, 1, program.constant(1)];
  program.emit(CODE.matmul, operands);
  return target;
};

const DEPTHWISE = { forward: 0, input: 1, filter: 2 } as const;

const depthwise: LoweringRule<'depthwise'> = ({
  lowering,
  program,
  operator: { window },
  value,
  inputs: [x, filter],
}) => {
  const { place, shape } = surrounded(lowering, x!, window.padding);
  const target = program.buffer(sizeOf(value.shape));
  const words = windowWords(shape, window, value.shape);
  const operands = [place, placeOf(lowering, filter!), target, shape[0], ...words];
  program.emit(CODE.depthwise, [...operands, filter!.shape[3]!, DEPTHWISE.forward]);
  return target;
};

/** Into an image with room around it, of which the middle is kept. */
const depthwiseInput: LoweringRule<'depthwise-input'> = (site) => {
  const { lowering, program, operator, value, inputs } = site;
  const { window } = operator;
  const [dy, filter] = inputs as [Value, Value];
  const [top, left, bottom, right] = window.padding;
  const [batch, height, width, channels] = value.shape as unknown as Image;
  const shape = [batch, height + top + bottom, width + left + right, channels] as const;
  const whole = program.buffer(sizeOf(shape));
  program.emit(CODE.fill, [whole, { real: 0 }, sizeOf(shape)]);
  const words = windowWords(shape, window, dy.shape);
  const operands = [whole, placeOf(lowering, filter), placeOf(lowering, dy), batch, ...words];
  program.emit(CODE.depthwise, [...operands, filter.shape[3]!, DEPTHWISE.input]);
  const target = program.buffer(sizeOf(value.shape));
  const from = imageSteps(shape);
  const source = { buffer: whole.buffer, offset: 4 * (top * from[1]! + left * from[2]!) };
  move(program, { shape: value.shape, from, to: imageSteps(value.shape as unknown as Image), source, target });
  return target;
};

const depthwiseFilter: LoweringRule<'depthwise-filter'> = (site) => {
  const { lowering, program, operator, value, inputs } = site;
  const [x, dy] = inputs as [Value, Value];
  const { place, shape } = surrounded(lowering, x, operator.window.padding);
  const target = program.buffer(sizeOf(value.shape));
  program.emit(CODE.fill, [target, { real: 0 }, sizeOf(value.shape)]);
  const words = windowWords(shape, operator.window, dy.shape);
  const operands = [place, target, placeOf(lowering, dy), shape[0], ...words];
  program.emit(CODE.depthwise, [...operands, value.shape[3]!, DEPTHWISE.filter]);
  return target;
};

interface Pooled {
  readonly mode: 0 | 1 | 2 | 3;
  readonly window: Window;
  readonly image: Shape;
  readonly result: Shape;
}

function pool(
  { program }: Lowering,
  { mode, window, image, result }: Pooled,
  places: readonly [Place, Place, Place, Place],
): void {
  const [x, y, dy, dx] = places;
  const words = windowWords(image as unknown as Image, window, result);
  program.emit(CODE.pool, [x, y, dy, image[0]!, ...words, pair([window.padding[0], window.padding[1]]), mode, dx]);
}

export const imageRules: {
  readonly convolution: LoweringRule<'convolution'>;
  readonly 'convolution-input': LoweringRule<'convolution-input'>;
  readonly 'convolution-filter': LoweringRule<'convolution-filter'>;
  readonly depthwise: LoweringRule<'depthwise'>;
  readonly 'depthwise-input': LoweringRule<'depthwise-input'>;
  readonly 'depthwise-filter': LoweringRule<'depthwise-filter'>;
  readonly 'max-pool': LoweringRule<'max-pool'>;
  readonly 'max-pool-input': LoweringRule<'max-pool-input'>;
  readonly 'average-pool': LoweringRule<'average-pool'>;
  readonly 'average-pool-input': LoweringRule<'average-pool-input'>;
} = {
  convolution,
  'convolution-input': convolutionInput,
  'convolution-filter': convolutionFilter,
  depthwise,
  'depthwise-input': depthwiseInput,
  'depthwise-filter': depthwiseFilter,
  'max-pool': ({ lowering, program, operator: { window }, value, inputs: [x] }) => {
    const [source, target] = [placeOf(lowering, x!), program.buffer(sizeOf(value.shape))];
    pool(lowering, { mode: 0, window, image: x!.shape, result: value.shape }, [source, target, target, target]);
    return target;
  },
  'max-pool-input': ({ lowering, program, operator: { window }, value, inputs: [x, y, dy] }) => {
    const target = program.buffer(sizeOf(value.shape));
    const places = [placeOf(lowering, x!), placeOf(lowering, y!), placeOf(lowering, dy!), target] as const;
    pool(lowering, { mode: 1, window, image: value.shape, result: y!.shape }, places);
    return target;
  },
  'average-pool': ({ lowering, program, operator: { window }, value, inputs: [x] }) => {
    const [source, target] = [placeOf(lowering, x!), program.buffer(sizeOf(value.shape))];
    pool(lowering, { mode: 2, window, image: x!.shape, result: value.shape }, [source, target, target, target]);
    return target;
  },
  'average-pool-input': ({ lowering, program, operator: { window }, value, inputs: [dy] }) => {
    const [by, target] = [placeOf(lowering, dy!), program.buffer(sizeOf(value.shape))];
    pool(lowering, { mode: 3, window, image: value.shape, result: dy!.shape }, [target, by, by, target]);
    return target;
  },
};
