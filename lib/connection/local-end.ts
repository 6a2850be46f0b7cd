/**
 * Where a socket begins before it connects: at a network device, an address, a port, or a range of ports of which the
 * first free one is taken. Where the system does not let a socket be held to a device, an address of that device is the
 * next best: packets then carry it, whichever way they take.
 */
import type { SystemError } from '../base/errors.ts'
import { Family, type Kernel, type SocketAddress } from '../sys/kernel.ts'
import { systemError } from '../sys/system-error.ts'
import type { IpFamily } from './address.ts'

export interface LocalEnd {
  /** 'eth0'; null: any. */
  readonly device: string | null
  /** Its port means nothing. null: any of the machine, or of the device. */
  readonly address: SocketAddress | null
  /** 0: the system's choice. */
  readonly port: number
  /** How many ports are tried from there on; at least 1. */
  readonly portCount: number
}

type LocalKernel = Pick<Kernel, 'errno' | 'bind' | 'bindToDevice' | 'deviceAddresses'>

const ANY: Readonly<Record<IpFamily, string>> = { [Family.IPV4]: '0.0.0.0', [Family.IPV6]: '::' }

/** null, or why it cannot begin there: 'bind' is the syscall, and the last address that was tried, or the device. */
export function bindLocalEnd(kernel: LocalKernel, fd: number, family: IpFamily, local: LocalEnd): SystemError | null {
  const { device } = local
  let address = local.address?.address ?? null
  if (device !== null) {
    const result = kernel.bindToDevice(fd, device)
    if (result < 0) {
      const own = kernel.deviceAddresses(device).find((one) => one.family === family)
      if (own === undefined) return systemError(kernel, result, 'bind', { family, address: device, port: 0 })
      address ??= own.address
    }
  }
  if (address === null && local.port === 0) return null
  address ??= ANY[family]
  const last = local.port + local.portCount - 1
  for (let port = local.port; ; port++) {
    const result = kernel.bind(fd, family, address, port)
    if (result >= 0) return null
    if (result !== -kernel.errno.EADDRINUSE || port === last) {
      return systemError(kernel, result, 'bind', { family, address, port })
    }
  }
}
