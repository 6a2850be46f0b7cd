/** The addresses of a network device, as the system has them now. */
import { networkInterfaces } from 'node:os'
import { Family, type SocketAddress } from './kernel.ts'

export function deviceAddresses(device: string): SocketAddress[] {
  if (typeof device !== 'string') throw new TypeError('device: must be a string')
  const devices = networkInterfaces()
  const entries = Object.hasOwn(devices, device) ? (devices[device] ?? []) : []
  return entries.map(({ family, address }) => {
    if (family === 'IPv4') return { family: Family.IPV4, address, port: 0 }
    // A link-local address means nothing without its device.
    return { family: Family.IPV6, address: address.startsWith('fe80:') ? `${address}%${device}` : address, port: 0 }
  })
}
