/** As much of the protocol-buffers encoding as an ONNX model needs: varints, 32-bit floats and length-delimited fields. */
export type Field = readonly [number: number, value: FieldValue];
type FieldValue = number | bigint | string | Uint8Array | { readonly float: number };

export function message(fields: readonly Field[]): Uint8Array {
  return join(fields.flatMap(([number, value]) => encode(number, value)));
}

function encode(number: number, value: FieldValue): Uint8Array[] {
  if (typeof value === 'number' || typeof value === 'bigint') return [varint(number << 3), varint(value)];
  if (typeof value === 'object' && 'float' in value)
    return [varint((number << 3) | 5), new Uint8Array(Float32Array.of(value.float).buffer)];
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return [varint((number << 3) | 2), varint(bytes.length), bytes];
}

/** Negative numbers take the ten bytes of their 64-bit complement. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
