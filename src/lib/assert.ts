/**
 * Assertions for broken invariants: bugs in this program, never bad input or a failing environment.
 * They throw, nothing catches them, the process dies and its supervisor starts it again.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}
