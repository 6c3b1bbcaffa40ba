/** What a client tells whoever runs it, after the fact. */
import type { MaskMode, RosterTrust, RoundId } from '@carapace/aggregation';

export type ClientEvent =
  | { readonly kind: 'enrolled'; readonly client: string; readonly coordinator: string }
  | { readonly kind: 'exposed'; readonly coordinator: string }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'assigned'; readonly round: RoundId; readonly model: string; readonly version: number }
  | {
      /** To a cohort of secure aggregation, by a roster on whose word the others exist. */
      readonly kind: 'invited';
      readonly round: RoundId;
      readonly cohort: number;
      readonly threshold: number;
      readonly mode: MaskMode;
      readonly trust: RosterTrust;
    }
  | { readonly kind: 'unmasked'; readonly round: RoundId; readonly survivors: number }
  | { readonly kind: 'left-out'; readonly round: RoundId; readonly reason: string }
  | { readonly kind: 'note'; readonly message: string }
  | {
      readonly kind: 'trained';
      readonly round: RoundId;
      readonly examples: number;
      readonly seconds: number;
      readonly metrics: Readonly<Record<string, number>>;
    }
  | { readonly kind: 'uploading'; readonly round: RoundId; readonly bytes: number }
  | { readonly kind: 'admitted'; readonly round: RoundId; readonly bytes: number }
  | { readonly kind: 'refused'; readonly round: RoundId; readonly code: string }
  | { readonly kind: 'declined'; readonly round: RoundId; readonly reason: string }
  | { readonly kind: 'retrying'; readonly inMs: number; readonly reason: string }
  | { readonly kind: 'stopped' };
