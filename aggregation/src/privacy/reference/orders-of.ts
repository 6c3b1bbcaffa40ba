/** The grid of orders that an entry names. */
import { DISTRIBUTED_ORDERS, DP_ACCOUNTING_ORDERS, OPACUS_ORDERS } from '../rdp/orders.ts';
import type { ReferenceEntry } from './entry.ts';

export function ordersOf({ params, accountant }: ReferenceEntry): readonly number[] | undefined {
  const written = params.has('orders') ? params.text('orders') : '';
  if (written.startsWith('dp_accounting default')) return DP_ACCOUNTING_ORDERS;
  if (written.startsWith('2..128')) return DISTRIBUTED_ORDERS;
  if (written.startsWith('1.1..10.9') || accountant === 'opacus_rdp') return OPACUS_ORDERS;
  return undefined;
}
