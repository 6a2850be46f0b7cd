/** A C library of the system, called through koffi. */
import koffi, { type LibraryHandle } from 'koffi'

/** An address, as koffi hands it out. */
export type Pointer = bigint

export class MissingLibrary extends Error {
  constructor(file: string, packages: string, cause: unknown) {
    super(`${file} cannot be loaded; on Debian install the package ${packages}`, { cause })
    this.name = 'MissingLibrary'
  }
}

export function loadLibrary(file: string, packages: string): LibraryHandle {
  try {
    return koffi.load(file)
  } catch (cause) {
    throw new MissingLibrary(file, packages, cause)
  }
}
