/** What a destination is made of, and what it says to those around it. */

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import type { Found } from './look-up.ts'
import type { SenderId } from './sender-id.ts'
import type { Spool } from './spool.ts'
import type { ConnectUpstream } from './upstream.ts'
import type { WallTimes } from '../wall-times.ts'

export type Dialect = 'line' | 'emon' | 'auto'

export interface DestinationOptions {
  /** As statistics name it. */
  readonly label: string
  readonly dialect: Dialect
  readonly connect: ConnectUpstream
  readonly clock: Clock
  readonly log: Log
  readonly senderId: SenderId
  readonly spool: Spool
  readonly maySpool: () => boolean
  readonly counters: DestinationCounters
  /** What each line begins with, made from the address that it came from. */
  readonly prefix: ((origin: string) => string) | undefined
  /** Of the host's name; undefined where there is no name. */
  readonly lookUp: (() => Promise<Found>) | undefined
  /** What its peer may not have read is written again; false for UDP and files. */
  readonly resends: boolean
  readonly compress: boolean
  /** As they are now: they are asked for whenever they are needed. */
  readonly settings: () => DestinationSettings
  readonly wallTimes: WallTimes
  /** `failures` has changed. */
  readonly onHealth: () => void
  /** `heldWritten` or `heldSynced` may have grown. */
  readonly onProgress: () => void
}

/** What a reload may change while the destination goes on. */
export interface DestinationSettings {
  readonly resendWindowBytes: number
  /** For the next connection. */
  readonly token: string | undefined
  readonly maxFutureSeconds: number
  /** Points a second; 0: max(4 × live rate, 50,000). */
  readonly replayRate: number
}

export interface DestinationCounters {
  readonly sent: Counter
  readonly spooled: Counter
  readonly dropped: Counter
  /** Lines whose value or time is none, found when they were made points. */
  readonly unparsable: Counter
  readonly reconnects: Counter
}
