/** Holders on the wire: numbers from 1, each named once, in rising order: one set has one spelling. */
import type { Reader, Writer } from '@carapace/crypto';
import { invalid } from '../../secagg/wire/frame.ts';

export function writeNumbers(writer: Writer, numbers: readonly number[]): Writer {
  writer.u8(numbers.length);
  for (const number of numbers) writer.u8(number);
  return writer;
}

export function readNumbers(reader: Reader): number[] {
  return readByNumber(reader, (number) => number);
}

/** `count`, then that many items, each led by a number above the one before. */
export function readByNumber<T>(reader: Reader, read: (number: number, reader: Reader) => T): T[] {
  let last = 0;
  return Array.from({ length: reader.u8() }, () => {
    const number = reader.u8();
    if (number <= last) throw invalid('its holders are not in rising order');
    last = number;
    return read(number, reader);
  });
}
