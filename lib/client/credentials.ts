/** A user name and a password, and what may not be in them. */

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** RFC 7617 §2 bars control characters; in a header field they would begin a field of their own. */
export function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 32 || code === 127) return true
  }
  return false
}
