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
} as const;

export type Domain = (typeof DOMAINS)[keyof typeof DOMAINS];
