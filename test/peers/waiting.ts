/** What tests with other processes wait for, and where those may listen. */

export function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = server
  server.stop(true)
  return port
}

/** Waits until `check` says true; what it throws before the time is up counts as no. */
export async function until(
  check: () => boolean | Promise<boolean>,
  options: { seconds?: number; what?: string; everyMs?: number } = {},
): Promise<void> {
  const deadline = Date.now() + (options.seconds ?? 10) * 1000
  let last: unknown
  while (Date.now() < deadline) {
    try {
      if (await check()) return
    } catch (error) {
      last = error
    }
    await Bun.sleep(options.everyMs ?? 20)
  }
  throw new Error(`${options.what ?? 'it'} did not come true in time`, { cause: last })
}
