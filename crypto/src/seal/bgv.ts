/** The BGV scheme of one set of parameters (Brakerski, Gentry and Vaikuntanathan 2012): exact sums of integers. */
import type { BatchEncoder } from 'node-seal';
import type { SealParameters } from './parameters.ts';
import { contextOf, openScheme, schemeIn } from './scheme.ts';
import type { Scheme } from './scheme.ts';

export interface Bgv extends Scheme<SealParameters> {
  readonly encoder: BatchEncoder;
  readonly plainModulus: bigint;
}

/** @throws CryptoError `SEAL_PARAMETERS` when SEAL does not take them */
export function openBgv(parameters: SealParameters): Promise<Bgv> {
  return openScheme((scope, seal) => {
    const context = contextOf(scope, seal, seal.SchemeType.bgv, parameters);
    const encoder = scope.keep(new seal.BatchEncoder(context));
    const zero = scope.keep(new seal.Plaintext());
    encoder.encode(new BigUint64Array(encoder.slotCount()), zero);
    const first = scope.keep(scope.keep(context.firstContextData()).parms());
    const plainModulus = scope.keep(first.plainModulus()).value();
    return { ...schemeIn(scope, { seal, context, parameters, zero }), encoder, plainModulus };
  });
}
