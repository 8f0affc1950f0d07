/**
 * go-graphite's messages in protobuf (go-graphite/protocol, carbonapi_v2_pb.proto and carbonapi_v3_pb.proto), as
 * carbonserver and carbonapi answer them: MultiFetchResponse is these under field 1, so is v3's MultiGlobResponse.
 *
 * Where nothing is known, v2 has 0 and a flag, v3 NaN.
 */

import type { ProtoWriter } from '../lib/protobuf.ts'
import { archiveSeconds } from '../metric/retention.ts'
import type { FindMatch, SeriesInfo } from './store-protocol.ts'

/** A stored series, or one that functions made. */
export interface FetchMessage {
  readonly name: string
  readonly start: number
  readonly step: number
  readonly values: Float64Array
  /** How it is consolidated. */
  readonly method: string
  readonly xFilesFactor: number
}

/** What was asked for a series, which version 3 repeats. */
export interface RenderContext {
  readonly pathExpression: string
  readonly from: number
  readonly until: number
}

export function writeFetchV2(
  message: ProtoWriter,
  { name, start, step, values }: FetchMessage,
): void {
  message.text(1, name)
  message.number(2, start)
  message.number(3, start + step * values.length)
  message.number(4, step)
  message.doubles(
    5,
    values.map((value) => (value === value ? value : 0)),
  )
  message.flags(6, values, (value) => value !== value)
}

export function writeFetchV3(
  message: ProtoWriter,
  series: FetchMessage,
  context: RenderContext,
): void {
  const { name, start, step, values, method, xFilesFactor } = series
  message.text(1, name)
  message.text(2, context.pathExpression)
  message.text(3, method)
  message.number(4, start)
  message.number(5, start + step * values.length)
  message.number(6, step)
  message.float(7, xFilesFactor)
  message.doubles(9, values)
  message.number(11, context.from)
  message.number(12, context.until)
}

export interface PatternMatches {
  readonly pattern: string
  readonly matches: readonly FindMatch[]
}

export function writeMatches(message: ProtoWriter, found: PatternMatches | undefined): void {
  if (!found) return
  message.text(1, found.pattern)
  for (const { path, isLeaf } of found.matches) {
    message.message(2, (match) => {
      match.text(1, path)
      match.bool(2, isLeaf)
    })
  }
}

/** Versions 2 and 3 number these fields alike. */
export function writeInfo(message: ProtoWriter, info: SeriesInfo | undefined): void {
  if (!info) return
  message.text(1, info.path)
  message.text(2, titleCase(info.method))
  message.number(3, longest(info))
  message.float(4, info.xFilesFactor)
  for (const { step, count } of info.archives) {
    message.message(5, (retention) => {
      retention.number(1, step)
      retention.number(2, count)
    })
  }
}

/** Seconds that the longest archive covers. */
export function longest({ archives }: SeriesInfo): number {
  return Math.max(0, ...archives.map(archiveSeconds))
}

export function titleCase(method: string): string {
  return method[0]!.toUpperCase() + method.slice(1)
}
