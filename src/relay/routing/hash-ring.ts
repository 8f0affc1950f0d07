/**
 * Where a name goes on carbon-c-relay's three hash rings (consistent-hash.c):
 *
 * ```
 *   carbon_ch      100 points a member, md5("('IP', None):i") or md5("('IP', 'INSTANCE'):i"), first 16 bits
 *   fnv1a_ch       100 points a member, fnv1a32("i-IP:PORT") or fnv1a32("i-INSTANCE"), folded to 16 bits
 *   jump_fnv1a_ch  members by instance, Lamping and Veach's jump hash of fnv1a64(name)
 * ```
 *
 * Points are sorted by position, then as each ring says; of several at one position the first stands for
 * all. A name takes the first point at or after its own position, and walks on for further replicas.
 * Texts are latin1. Bytes from 0x80 on go into FNV sign-extended, as C's signed char does.
 */

import { assert } from '../../lib/assert.ts'

export interface RingMember {
  readonly address: string
  readonly port: number
  readonly instance: string | undefined
}

export type RingType = 'carbon_ch' | 'fnv1a_ch' | 'jump_fnv1a_ch'

export interface HashRing {
  /** `count` distinct members for `key`, first choice first; they go on to all members in ring order. */
  place(key: string, count: number): number[]
  /** The same number for keys `bytes[start, end)` that have the same `replication` members, or NO_ANSWER. */
  answer(bytes: Uint8Array, start: number, end: number): number
  /** As `-d` prints it. */
  position(key: string): number
  /** Points in order, for printing; a jump ring's position is the member's place in the configuration. */
  points(): readonly { position: number; member: number }[]
}

/** There are more sets of members than numbers. */
export const NO_ANSWER = -1

export function createRing(
  type: RingType,
  members: readonly RingMember[],
  replication = 1,
): HashRing {
  if (type === 'jump_fnv1a_ch') return new JumpRing(members, replication)
  return new PointRing(type, members, replication)
}

const POINTS_PER_MEMBER = 100

class PointRing implements HashRing {
  private readonly hash: Hash
  private readonly positions: Uint16Array
  private readonly owners: Uint16Array
  /** By point: the answer for keys that come to it. */
  private readonly answers: Uint32Array

  constructor(type: 'carbon_ch' | 'fnv1a_ch', members: readonly RingMember[], replication: number) {
    this.hash = type === 'carbon_ch' ? carbonPosition : fnvPosition
    const name = type === 'carbon_ch' ? carbonPointName : fnvPointName
    const compare = type === 'carbon_ch' ? compareByInstance : compareByPort
    const points: { position: number; member: number }[] = []
    members.forEach((member, index) => {
      for (let i = 0; i < POINTS_PER_MEMBER; i++) {
        points.push({ position: this.position(name(member, i)), member: index })
      }
    })
    points.sort(
      (a, b) => a.position - b.position || compare(members[a.member]!, members[b.member]!),
    )
    this.positions = new Uint16Array(points.length)
    this.owners = new Uint16Array(points.length)
    points.forEach(({ position, member }, i) => {
      this.positions[i] = position
      const collides = i > 0 && this.positions[i - 1] === position
      this.owners[i] = collides ? this.owners[i - 1]! : member
    })
    const known = new Map<string, number>()
    this.answers = Uint32Array.from(points, (_, point) => {
      const placed = this.walk(point, replication).join()
      if (!known.has(placed)) known.set(placed, known.size)
      return known.get(placed)!
    })
  }

  place(key: string, count: number): number[] {
    return this.walk(this.firstAt(this.position(key)), count)
  }

  answer(bytes: Uint8Array, start: number, end: number): number {
    return this.answers[this.firstAt(this.hash(bytes, start, end))]!
  }

  position(key: string): number {
    const bytes = Buffer.from(key, 'latin1')
    return this.hash(bytes, 0, bytes.length)
  }

  points(): readonly { position: number; member: number }[] {
    return Array.from(this.positions, (position, i) => ({ position, member: this.owners[i]! }))
  }

  private walk(point: number, count: number): number[] {
    const { owners } = this
    const members: number[] = []
    let at = point
    for (let seen = 0; seen < owners.length && members.length < count; seen++) {
      if (at === owners.length) at = 0
      const owner = owners[at++]!
      if (!members.includes(owner)) members.push(owner)
    }
    return members
  }

  /** The first point at or after `position`; past the last one the first of all. */
  private firstAt(position: number): number {
    const { positions } = this
    let low = 0
    let high = positions.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (positions[middle]! < position) low = middle + 1
      else high = middle
    }
    return low === positions.length ? 0 : low
  }
}

class JumpRing implements HashRing {
  /** Members in bucket order. */
  private readonly order: readonly number[]
  private readonly replication: number

  constructor(members: readonly RingMember[], replication: number) {
    this.replication = replication
    this.order = members
      .map((_, index) => index)
      .sort((a, b) => compareForJump(members[a]!, members[b]!) || a - b)
  }

  place(key: string, count: number): number[] {
    const bytes = Buffer.from(key, 'latin1')
    return this.walk(fnv1a64(bytes, 0, bytes.length), count)
  }

  answer(bytes: Uint8Array, start: number, end: number): number {
    const hash = fnv1a64(bytes, start, end)
    if (this.replication === 1) return jump(hash, this.order.length)
    const { length } = this.order
    if (length ** this.replication > Number.MAX_SAFE_INTEGER) return NO_ANSWER
    return this.walk(hash, this.replication).reduce((answer, member) => answer * length + member, 0)
  }

  position(key: string): number {
    const bytes = Buffer.from(key, 'latin1')
    return jump(fnv1a64(bytes, 0, bytes.length), this.order.length)
  }

  points(): readonly { position: number; member: number }[] {
    return this.order.map((member) => ({ position: member, member }))
  }

  private walk(hash: Hash64, count: number): number[] {
    const buckets = [...this.order]
    const members: number[] = []
    for (let left = buckets.length; left > 0 && members.length < count; left--) {
      const bucket = jump(hash, left)
      members.push(buckets[bucket]!)
      buckets[bucket] = buckets[left - 1]!
      nextHash(hash)
    }
    return members
  }
}

// ── names of points and their order ─────────────────────────────────────────────────────────────────

function carbonPointName(member: RingMember, i: number): string {
  const instance = member.instance === undefined ? 'None' : `'${member.instance}'`
  return `('${member.address}', ${instance}):${i}`
}

function fnvPointName(member: RingMember, i: number): string {
  return member.instance === undefined
    ? `${i}-${member.address}:${member.port}`
    : `${i}-${member.instance}`
}

function compareByInstance(a: RingMember, b: RingMember): number {
  return compareText(a.address, b.address) || compareInstances(a.instance, b.instance)
}

function compareByPort(a: RingMember, b: RingMember): number {
  return compareText(a.address, b.address) || a.port - b.port
}

/** Those without an instance come last. */
function compareInstances(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) {
    return Number(a === undefined) - Number(b === undefined)
  }
  return compareText(a, b)
}

/** Two numbers compare as numbers; members without an instance stay in the configuration's order. */
function compareForJump(a: RingMember, b: RingMember): number {
  const whole = /^[ \t]*[+-]?\d+$/
  if (a.instance !== undefined && b.instance !== undefined) {
    if (whole.test(a.instance) && whole.test(b.instance)) {
      return Number(a.instance) - Number(b.instance)
    }
  }
  return compareInstances(a.instance, b.instance)
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

// ── hashes ──────────────────────────────────────────────────────────────────────────────────────────

/** Of the latin1 text `bytes[start, end)`. */
type Hash = (bytes: Uint8Array, start: number, end: number) => number

const digest = new Uint8Array(16)
/** Bytes to be hashed, and a view of so many of them: a view made for each name costs half as much as its hash. */
const hashed = new Uint8Array(256)
const firstBytes = Array.from({ length: hashed.length }, (_, length) => hashed.subarray(0, length))

function carbonPosition(bytes: Uint8Array, start: number, end: number): number {
  let name = firstBytes[end - start]
  if (name === undefined) name = bytes.slice(start, end)
  else for (let i = start; i < end; i++) hashed[i - start] = bytes[i]!
  Bun.MD5.hash(name, digest)
  return digest[0]! * 256 + digest[1]!
}

function fnvPosition(bytes: Uint8Array, start: number, end: number): number {
  const hash = fnv1a32(bytes, start, end)
  return (hash >>> 16) ^ (hash & 0xffff)
}

/** FNV-1a, 32 bits. */
export function fnv1a32(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ signed(bytes[i]!), 0x01000193)
  return hash >>> 0
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}

/** 64 bits as two halves. */
interface Hash64 {
  high: number
  low: number
}

/** FNV-1a, 64 bits; the prime is 2^40 + 0x1b3. */
function fnv1a64(bytes: Uint8Array, start: number, end: number): Hash64 {
  const hash = { high: 0xcbf29ce4, low: 0x84222325 }
  for (let i = start; i < end; i++) {
    const byte = signed(bytes[i]!)
    hash.low = (hash.low ^ byte) >>> 0
    if (byte < 0) hash.high = ~hash.high >>> 0
    multiply(hash, 0x100, 0x1b3)
  }
  return hash
}

/** hash × (high × 2³² + low), modulo 2⁶⁴. */
function multiply(hash: Hash64, high: number, low: number): void {
  const a = hash.low
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = low & 0xffff
  const b1 = low >>> 16
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  const middle2 = a0 * b1 + (middle % 65536)
  const carry = a1 * b1 + Math.floor(middle / 65536) + Math.floor(middle2 / 65536)
  hash.high = (carry + Math.imul(hash.high, low) + Math.imul(a, high)) >>> 0
  hash.low = Math.imul(a, low) >>> 0
}

/** The bucket in [0, count): "A Fast, Minimal Memory, Consistent Hash Algorithm", Lamping and Veach, 2014. */
function jump(hash: Hash64, count: number): number {
  assert(count > 0, 'jump() over no buckets')
  const key = { high: hash.high, low: hash.low }
  let bucket = -1
  let next = 0
  while (next < count) {
    bucket = next
    multiply(key, 0x27bb2ee6, 0x87b0b0fd)
    key.low = (key.low + 1) >>> 0
    if (key.low === 0) key.high = (key.high + 1) >>> 0
    next = Math.floor((bucket + 1) * (2147483648 / ((key.high >>> 1) + 1)))
  }
  return bucket
}

/** xorshift64*: another hash for the next replica. */
function nextHash(hash: Hash64): void {
  let { high, low } = hash
  low = (low ^ ((low >>> 12) | (high << 20))) >>> 0
  high = (high ^ (high >>> 12)) >>> 0
  high = (high ^ ((high << 25) | (low >>> 7))) >>> 0
  low = (low ^ (low << 25)) >>> 0
  low = (low ^ ((low >>> 27) | (high << 5))) >>> 0
  high = (high ^ (high >>> 27)) >>> 0
  hash.high = high
  hash.low = low
  multiply(hash, 0x2545f491, 0x4f6cdd1d)
}
