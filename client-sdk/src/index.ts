/** `@carapace/client-sdk`: trains on data that never leaves the device and contributes updates to a federation. */
export { FederatedClient } from './client.ts';
export type { FederatedClientOptions } from './client.ts';
export type { DataSource } from './data/source.ts';
export { engineTrainer } from './engine-trainer.ts';
export type { EngineTrainerOptions } from './engine-trainer.ts';
export { CLIENT_ERRORS, ClientError } from './errors.ts';
export type { ClientErrorCode } from './errors.ts';
export type { ClientEvent } from './events.ts';
export { formatJoinLink, parseJoinLink } from './join-link.ts';
export type { JoinLink } from './join-link.ts';
export type { LocalResult, LocalTrainer, LocalWork } from './local-trainer.ts';
export { DEFAULT_POLICY } from './policy.ts';
export type { Policy } from './policy.ts';
export type { EpochResult, Evaluation, Examples, ModelSpec, Trainer, TrainingEngine } from './training/engine.ts';
