/**
 * Which names have come before, about: a byte of each hash, in the place that the hash gives it (a doorkeeper, as
 * Einziger, Friedman and Manes put it before a cache, "TinyLFU", 2015). A name that takes another's place makes
 * it new again; one in 255 is taken for another.
 */

const PLACES_LOG2 = 20

export class SeenOnce {
  /** Empty until the first name comes. */
  private prints: Uint8Array

  constructor() {
    this.prints = new Uint8Array(0)
  }

  /** Whether the name of that hash, 32 bits, has come before. */
  again(hash: number): boolean {
    if (this.prints.length === 0) this.prints = new Uint8Array(2 ** PLACES_LOG2)
    const place = hash >>> (32 - PLACES_LOG2)
    const print = hash & 0xff || 1
    if (this.prints[place] === print) return true
    this.prints[place] = print
    return false
  }
}
