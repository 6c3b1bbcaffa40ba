/**
 * Every domain-separation label of the system. Nothing else may spell one: a signature or a key made for one purpose
 * can then never be taken for another.
 */
export const DOMAINS = {
  assignment: 'carapace/v1/assignment',
  receipt: 'carapace/v1/receipt',
  enrolment: 'carapace/v1/enrolment',
  manifest: 'carapace/v1/model-manifest',
  audit: 'carapace/v1/audit',
  token: 'carapace/v1/enrolment-token',
  apiKey: 'carapace/v1/api-key',
  roster: 'carapace/v1/roster',
  secaggSession: 'carapace/v1/secagg/session',
  secaggKeys: 'carapace/v1/secagg/advertise-keys',
  secaggBinding: 'carapace/v1/secagg/key-list',
  secaggGraph: 'carapace/v1/secagg/graph',
  secaggSealing: 'carapace/v1/secagg/sealing-key',
  secaggPairMask: 'carapace/v1/secagg/pair-mask',
  secaggSelfMask: 'carapace/v1/secagg/self-mask',
  secaggCommitment: 'carapace/v1/secagg/commitment',
  secaggSurvivors: 'carapace/v1/secagg/consistency',
  sharesSession: 'carapace/v1/shares/session',
  sharesKey: 'carapace/v1/shares/aggregator-key',
  sharesPayload: 'carapace/v1/shares/payload',
  sharesDeposit: 'carapace/v1/shares/deposit',
  sharesSealing: 'carapace/v1/shares/sealing-key',
  sharesMask: 'carapace/v1/shares/mask',
  sealReference: 'carapace/v1/seal/common-reference',
  sealCommitment: 'carapace/v1/seal/commitment',
  sealSmudging: 'carapace/v1/seal/smudging',
  noiseRotation: 'carapace/v1/privacy/rotation',
  cohortCoin: 'carapace/v1/privacy/cohort-coin',
  noiseSum: 'carapace/v1/privacy/central-noise',
  noiseNode: 'carapace/v1/privacy/correlated-noise',
  privacyLedger: 'carapace/v1/privacy/ledger',
  rlwePublic: 'carapace/v1/rlwe/public-polynomials',
} as const;

export type Domain = (typeof DOMAINS)[keyof typeof DOMAINS];
