/** How much a server matters beside others: a word, and the weight that goes with it. */
export const PRIORITIES = ['background', 'low', 'normal', 'high', 'critical'] as const
export type Priority = (typeof PRIORITIES)[number]
