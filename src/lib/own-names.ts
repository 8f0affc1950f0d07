/**
 * Requests that a browser on this machine sends for a page of another site. Such a page may have its own name lead
 * to 127.0.0.1 (DNS rebinding): what it asks then comes from this machine, and is same-origin to the browser. What
 * gives it away is the Host header, which has that name.
 */

const LOOPBACK = /^(?:localhost|[^:]*\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
const PORT = /:\d*$/

export function isLoopbackAddress(address: string): boolean {
  return /^(?:localhost$|::1$|(?:::ffff:)?127\.)/.test(address)
}

/**
 * Whether a request names the machine as loopback or by one of `names`. What has no Host (HTTP/1.0) comes from no
 * browser.
 */
export function isForOwnName(headers: Headers, names: readonly string[]): boolean {
  const host = headers.get('host')?.toLowerCase().replace(PORT, '')
  if (host === undefined) return true
  return LOOPBACK.test(host) || names.some((name) => name.toLowerCase() === host)
}

/** Names in a setting: separated by commas or blanks. */
export function splitNames(text = ''): string[] {
  return text.split(/[\s,]+/).filter(Boolean)
}

/** Whether a page says, by the browser's word, that it is of another site than it asks. */
export function isFromOtherSite(headers: Headers): boolean {
  const origin = headers.get('origin')
  if (origin === null) return headers.get('sec-fetch-site') === 'cross-site'
  return origin.replace(/^https?:\/\//, '') !== headers.get('host')
}
