/**
 * Assertions for broken invariants: bugs in this program, never bad input or a failing environment.
 * They throw, nothing catches them, the process dies and its supervisor starts it again.
 *
 * A message with numbers in it is put together whether it is needed or not: where that is done a million times a
 * second the condition stands in front, and `assert(false, …)` behind it.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}
