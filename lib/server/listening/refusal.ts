/** A step of opening a socket that failed: the call, and -errno. */
export interface Refusal {
  readonly syscall: string
  readonly result: number
}
