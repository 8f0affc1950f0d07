/**
 * Work that must not run twice at the same time: asked for while it runs, it runs once more afterwards, however
 * often it was asked for. For signals, of which only the last one matters. The work must not reject.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let again = false
  const run = async (): Promise<void> => {
    do {
      again = false
      await work()
    } while (again)
    running = undefined
  }
  return () => {
    again = true
    running ??= run()
    return running
  }
}
