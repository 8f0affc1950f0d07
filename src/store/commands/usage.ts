/** How a command line ends that is not understood, asks for help, or meets a file that it may not have. */

import { errorCode } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'

const EXIT_USAGE = 64

/** The exit code of `work`; what the system refuses is said in a line. */
export async function runCommand(work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (errorCode(error) === '') throw error
    console.error(reason(error))
    return 1
  }
}

export function asksForHelp(words: readonly string[]): boolean {
  return words.some((word) => word === '--help' || word === '-h' || word === 'help')
}

/** Help that was asked for goes to stdout with 0; otherwise to stderr, behind what was not understood, with 64. */
export function wrongCommand(words: readonly string[], usage: string): number {
  if (asksForHelp(words)) {
    console.log(usage)
    return 0
  }
  if (words.length > 0) console.error(`not understood: ${words.join(' ')}`)
  console.error(usage)
  return EXIT_USAGE
}
