/** Expressions of match, rewrite and aggregate rules (relay.md §2.3). */

export interface Expression {
  /** As it is written in the configuration. */
  readonly source: string
  /** Whether the latin1 text matches. */
  test(text: string): boolean
}
