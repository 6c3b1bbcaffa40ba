/** What a client, or a second aggregator, tells whoever runs it, after the fact. */
import type { ClientId, MaskMode, NoisePlacement, RosterTrust, RoundId, SharesTrust } from '@carapace/aggregation';

/** What any member tells. */
export type JoiningEvent =
  | { readonly kind: 'enrolled'; readonly client: string; readonly coordinator: string }
  | { readonly kind: 'exposed'; readonly coordinator: string }
  | { readonly kind: 'retrying'; readonly inMs: number; readonly reason: string }
  | { readonly kind: 'stopped' };

export type ClientEvent =
  | JoiningEvent
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
  | {
      /** To share updates between the coordinator and this aggregator, on whose word it is nobody of the coordinator's. */
      readonly kind: 'sharing';
      readonly round: RoundId;
      readonly cohort: number;
      readonly aggregator: ClientId;
      readonly trust: SharesTrust;
    }
  | {
      /** With noise; what this device has given away after the round, where it counts against a limit of its own. */
      readonly kind: 'private';
      readonly round: RoundId;
      readonly placement: NoisePlacement;
      readonly noiseMultiplier: string;
      readonly epsilon: number | null;
      readonly limit: number | null;
    }
  | {
      /** Training with noise on each step; what this device has given away of an example after it, where it counts against a limit. */
      readonly kind: 'private-examples';
      readonly round: RoundId;
      readonly steps: number;
      readonly noiseMultiplier: string;
      readonly epsilon: number | null;
      readonly limit: number | null;
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
  | { readonly kind: 'declined'; readonly round: RoundId; readonly reason: string };

export type AggregatorEvent =
  | JoiningEvent
  /** It is there, under this identity: what tasks name and clients pin. */
  | { readonly kind: 'ready'; readonly client: ClientId; readonly key: string }
  | {
      readonly kind: 'keyed';
      readonly round: RoundId;
      readonly cohort: number;
      readonly minimumSurvivors: number;
      readonly trust: RosterTrust;
    }
  | {
      /** The sum of so many shares, of those that were asked for. */
      readonly kind: 'summed';
      readonly round: RoundId;
      readonly members: number;
      readonly asked: number;
      readonly seconds: number;
    }
  | { readonly kind: 'declined'; readonly round: RoundId; readonly reason: string }
  | { readonly kind: 'left-out'; readonly round: RoundId; readonly reason: string }
  | { readonly kind: 'note'; readonly message: string };
