/** How far the answer to a request is. */
export const Answer = {
  /** There is no request. */
  NONE: 0,
  /** The program, or whoever reads the body, has it. */
  AWAITED: 1,
  /** It was begun. */
  SENDING: 2,
  /** All of it is with the outbox or the kernel. */
  SENT: 3,
} as const
export type Answer = (typeof Answer)[keyof typeof Answer]
