/**
 * Expect: 100-continue (RFC 9110 §10.1.1) of one request: announced in its head, then waited for until the server says
 * 100, says something final, or the time is over.
 */
import type { RequestPlan } from './request-plan.ts'

export const Expectation = {
  /** The body may be sent. */
  NONE: 0,
  /** The body waits for the head to be sent, and then for the server's word. */
  WAITING: 1,
  /** The server answered without the body: it is not sent any more. */
  ANSWERED: 2,
  /** 417: the request is to be sent again without the expectation. */
  REFUSED: 3,
} as const
export type Expectation = (typeof Expectation)[keyof typeof Expectation]

const EXPECT_LINE = /\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)/i

/** Whether that request waits for 100 Continue. */
export function expectsContinue({ body, bodyLength, head }: RequestPlan): boolean {
  return body !== null && bodyLength !== 0 && EXPECT_LINE.test(head)
}

export function withoutExpectation(plan: RequestPlan): RequestPlan {
  return { ...plan, head: plan.head.replace(EXPECT_LINE, '') }
}
