/**
 * Who sent frames, and up to which: what makes a frame that is sent twice count once. Bounded: of more than
 * 65,536 senders the one that was silent longest is forgotten.
 */

const SENDERS_MAX = 65_536

interface Sequences {
  written: number
  synced: number
}

export class Senders {
  /** Longest silent first. */
  private readonly all = new Map<string, Sequences>()

  last(sender: string): { written: number; synced: number } {
    const { written, synced } = this.all.get(sender) ?? { written: 0, synced: 0 }
    return { written, synced }
  }

  /** False when the frame was applied before. */
  isNew(sender: string, sequence: number): boolean {
    return sequence > (this.all.get(sender)?.written ?? 0)
  }

  note(sender: string, sequence: number): void {
    const known = this.all.get(sender)
    const synced = known?.synced ?? 0
    if (known) this.all.delete(sender)
    else if (this.all.size >= SENDERS_MAX) this.all.delete(this.all.keys().next().value!)
    this.all.set(sender, { written: Math.max(sequence, known?.written ?? 0), synced })
  }

  /** What is written now; handed to `markSynced` when that has been synced. */
  written(): Map<string, number> {
    const sequences = new Map<string, number>()
    for (const [sender, { written }] of this.all) sequences.set(sender, written)
    return sequences
  }

  markSynced(sequences: ReadonlyMap<string, number>): void {
    for (const [sender, written] of sequences) {
      const known = this.all.get(sender)
      if (known && known.synced < written) known.synced = written
    }
  }
}
