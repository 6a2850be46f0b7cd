/**
 * Descriptors that several threads or processes have at once, each by a number of its own. Verbs return a result ≥ 0 or
 * -errno, as those of the kernel.
 */
export interface DescriptorSharing {
  /** Lets every thread of this process duplicate it, as long as it is open. The generation that names it, or -errno. */
  share(fd: number): number
  /** A descriptor of one's own for the same open file, close-on-exec; -ESTALE when the shared one is gone. */
  duplicate(fd: number, generation: number): number
  /**
   * Passes `count` descriptors along with at least one byte over a connected unix socket. They stay open here. Bytes
   * sent, or -errno. At most 253 at a time.
   */
  sendDescriptors(fd: number, fds: Int32Array, count: number, bufferId: number, offset: number, length: number): number
  /**
   * Bytes received, 0 at the end, or -errno. `fds[0]` is how many descriptors came along, which follow it and are this
   * thread's; more than it can hold are closed.
   */
  receiveDescriptors(fd: number, fds: Int32Array, bufferId: number, offset: number, length: number): number
}
