/** What a command line that is not understood, or that asks for help, is told. */

const EXIT_USAGE = 64

/** Help that was asked for goes to stdout with 0; otherwise to stderr, behind what was not understood, with 64. */
export function wrongCommand(words: readonly string[], usage: string): number {
  if (words.some((word) => word === '--help' || word === '-h' || word === 'help')) {
    console.log(usage)
    return 0
  }
  if (words.length > 0) console.error(`not understood: ${words.join(' ')}`)
  console.error(usage)
  return EXIT_USAGE
}
