/**
 * From weights to an update and back, tensor by tensor as its policy says. `deltaOf` runs on the client, `applyDelta` on
 * the server; between them lies nothing but a weighted mean, so any protection that yields a sum can stand there.
 */
import { AggregationError } from './errors.ts';
import type { Layout, Slot } from './layout.ts';

/** Trained minus base, `layout.size` numbers. @throws AggregationError `VECTOR_LENGTH` */
export function deltaOf(layout: Layout, base: Float32Array, trained: Float32Array): Float32Array {
  checkLength(layout, base);
  checkLength(layout, trained);
  const delta = new Float32Array(layout.size);
  for (const slot of layout.slots) {
    if (slot.policy === 'mean') subtract(slot, base, trained, delta);
    if (slot.policy === 'pooled-variance') subtractSecondMoments(layout, slot, base, trained, delta);
  }
  return delta;
}

/** Base plus `scale` times the mean delta; `scale` (the server's learning rate) does not touch statistics. */
export function applyDelta(layout: Layout, base: Float32Array, meanDelta: Float64Array, scale: number): Float32Array {
  checkLength(layout, base);
  checkLength(layout, meanDelta);
  const next = Float32Array.from(base);
  for (const slot of layout.slots) {
    if (slot.policy === 'mean') add(slot, base, meanDelta, isStatistic(layout, slot) ? 1 : scale, next);
  }
  for (const slot of layout.slots) {
    if (slot.policy === 'pooled-variance') recoverVariance(layout, slot, base, meanDelta, next);
  }
  return next;
}

function subtract(slot: Slot, base: Float32Array, trained: Float32Array, delta: Float32Array): void {
  for (let i = slot.offset; i < slot.offset + slot.size; i++) delta[i] = trained[i]! - base[i]!;
}

function add(slot: Slot, base: Float32Array, mean: Float64Array, scale: number, next: Float32Array): void {
  for (let i = slot.offset; i < slot.offset + slot.size; i++) next[i] = base[i]! + scale * mean[i]!;
}

/** E[x^2] = variance + mean^2 is linear in the clients, the variance is not. */
function subtractSecondMoments(
  layout: Layout,
  slot: Slot,
  base: Float32Array,
  trained: Float32Array,
  delta: Float32Array,
): void {
  const mean = meanOf(layout, slot).offset;
  for (let i = 0; i < slot.size; i++) {
    const at = slot.offset + i;
    delta[at] = trained[at]! + trained[mean + i]! ** 2 - (base[at]! + base[mean + i]! ** 2);
  }
}

function recoverVariance(
  layout: Layout,
  slot: Slot,
  base: Float32Array,
  meanDelta: Float64Array,
  next: Float32Array,
): void {
  const mean = meanOf(layout, slot).offset;
  for (let i = 0; i < slot.size; i++) {
    const at = slot.offset + i;
    const secondMoment = base[at]! + base[mean + i]! ** 2 + meanDelta[at]!;
    const pooledMean = base[mean + i]! + meanDelta[mean + i]!;
    // Rounding can leave a variance of zero a hair below it.
    next[at] = Math.max(0, secondMoment - pooledMean ** 2);
  }
}

/** A moving mean is what clients measured, not a step they propose: the server's learning rate is not for it. */
function isStatistic(layout: Layout, slot: Slot): boolean {
  return layout.slots.some((other) => other.meanTensor === slot.name);
}

function meanOf(layout: Layout, slot: Slot): Slot {
  const mean = layout.slots.find((other) => other.name === slot.meanTensor);
  if (mean === undefined) throw new AggregationError('LAYOUT_INVALID', `${slot.name} has no mean tensor`);
  return mean;
}

function checkLength(layout: Layout, vector: { readonly length: number }): void {
  if (vector.length !== layout.size) {
    throw new AggregationError('VECTOR_LENGTH', `${vector.length} numbers for a layout of ${layout.size}`);
  }
}
