/** A file that does not hold what its format promises. Who catches it moves the file to corrupt/ and goes on. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError'
  readonly file: string
  readonly offset: number

  constructor(file: string, offset: number, problem: string) {
    super(`${file} at byte ${offset}: ${problem}`)
    this.file = file
    this.offset = offset
  }
}

/** A file written by a later version of this program: never touched, the process stops with exit code 78. */
export class NewerVersionError extends Error {
  override readonly name = 'NewerVersionError'

  constructor(file: string, found: number, known: number) {
    super(
      `${file} has version ${found}, this program reads up to ${known}: upgrade it, or restore the older data`,
    )
  }
}
