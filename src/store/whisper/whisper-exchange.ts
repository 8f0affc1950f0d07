/**
 * Whole series in and out of the running store, as Whisper files hold them: every archive with its slots.
 *
 * A series that comes with an import keeps the archives that it had (`pinned`); one that the store
 * has already keeps its own rule and every slot that it knows, and takes the rest into archives of the same
 * step. On the admin socket a series travels as `u32 length, JSON of its shape, zeros to a multiple of 8,
 * f64 slots of each archive in turn`.
 */

import { ByteReader, ByteWriter, fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import { canonicalPath, isValidPath } from '../../metric/path.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { Engine, FetchedSlots, SeriesRule } from '../engine.ts'
import { QueryError } from '../query-error.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import type { SeriesRegistry } from '../index/series-registry.ts'
import type { WhisperSeries } from './whisper-format.ts'

export interface ExchangeParts {
  readonly engine: Engine
  readonly index: SeriesIndex
  readonly registry: SeriesRegistry
}

export interface ImportReport {
  /** Slots that the store took. */
  readonly slots: number
  /** Steps of the file that the store's rule for the series does not have. */
  readonly stepsLeftOut: readonly number[]
}

/** Loads a series; not synced yet. */
export async function importSeries(
  { engine, index, registry }: ExchangeParts,
  path: string,
  series: WhisperSeries,
  now: number,
): Promise<ImportReport> {
  const name = isValidPath(toUtf8(path)) ? canonicalPath(path) : undefined
  if (!name?.ok) throw new QueryError('bad', `${JSON.stringify(path)} is no name of a series`)
  if (!engine.acceptsSeries()) throw new QueryError('unavailable', 'the store takes no series now')
  const { archives, method, xFilesFactor } = series
  const isNew = index.findText(name.value) === ABSENT
  const rule: SeriesRule = { archives, method, xFilesFactor, pinned: true }
  const id = registry.define(toUtf8(name.value), rule)
  const stepsLeftOut: number[] = []
  // All are compared before one is loaded: finer slots that came with the file are no reason to leave out coarser ones.
  const wanted: FetchedSlots[] = []
  for (const row of series.slots) {
    const archive = engine.ruleOf(id)?.archives.find(({ step }) => step === row.step)
    if (!archive) stepsLeftOut.push(row.step)
    else if (row.values.length > 0) {
      const closed = row === series.slots[0] ? row : withoutOpenSlot(row, now)
      wanted.push(isNew ? closed : await withoutKnown(engine, id, closed, now))
    }
  }
  let slots = 0
  for (const row of wanted) {
    if (!(await engine.load(id, row)))
      throw new QueryError('unavailable', 'the store does not write now')
    slots += countKnown(row.values)
  }
  return { slots, stepsLeftOut }
}

/** Every archive of a series as it is now; undefined when there is no such series. */
export async function exportSeries(
  { engine, index }: Pick<ExchangeParts, 'engine' | 'index'>,
  path: string,
  now: number,
): Promise<WhisperSeries | undefined> {
  const id = index.findText(path)
  const rule = id === ABSENT ? undefined : engine.ruleOf(id)
  if (!rule) return undefined
  const slots: FetchedSlots[] = []
  for (const { step, count } of rule.archives) {
    slots.push(await archiveSlots(engine, id, { from: now - step * count, now, step }))
  }
  const { archives, method, xFilesFactor } = rule
  return { archives, method, xFilesFactor, slots }
}

/** A coarse row up to before now: the store itself rolls up the slot that is still open. */
function withoutOpenSlot(row: FetchedSlots, now: number): FetchedSlots {
  const end = Math.max(0, Math.floor((now - row.start) / row.step))
  return end < row.values.length ? { ...row, values: row.values.slice(0, end) } : row
}

/** The row, with NaN where the store knows a value already. */
async function withoutKnown(
  engine: Engine,
  id: number,
  row: FetchedSlots,
  now: number,
): Promise<FetchedSlots> {
  const archive = engine.ruleOf(id)!.archives.find(({ step }) => step === row.step)!
  const from = now - archive.step * archive.count
  const own = await archiveSlots(engine, id, { from, now, step: row.step })
  const values = row.values.slice()
  for (let i = 0; i < values.length; i++) {
    const at = (row.start - own.start) / row.step + i
    const known = own.values[at]
    if (known === known && known !== undefined) values[i] = NaN
  }
  return { ...row, values }
}

/** The slots of the archive of that step; the range is as long as it reaches, so that it is the one asked. */
async function archiveSlots(
  engine: Engine,
  id: number,
  { from, now, step }: { from: number; now: number; step: number },
): Promise<FetchedSlots> {
  let row: FetchedSlots = { start: 0, step, values: new Float64Array(0) }
  await engine.fetch(Uint32Array.of(id), { from, until: now, now }, (_, slots) => {
    if (slots?.step === step) row = { ...slots, values: slots.values.slice() }
  })
  return row
}

function countKnown(values: Float64Array): number {
  let count = 0
  for (let i = 0; i < values.length; i++) if (values[i] === values[i]) count++
  return count
}

// ── on the admin socket ─────────────────────────────────────────────────────────────────────────────

interface Shape extends Omit<WhisperSeries, 'slots'> {
  readonly rows: readonly { start: number; step: number; count: number }[]
}

export function encodeSeries({ slots, ...rule }: WhisperSeries): Uint8Array<ArrayBuffer> {
  const rows = slots.map(({ start, step, values }) => ({ start, step, count: values.length }))
  const out = new ByteWriter(4096)
  const shape = toUtf8(JSON.stringify({ ...rule, rows } satisfies Shape))
  out.u32(shape.length)
  out.raw(shape)
  out.skip(paddingAfter(out.length))
  for (const { values } of slots) {
    out.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }
  return new Uint8Array(out.written())
}

export function decodeSeries(bytes: Uint8Array): WhisperSeries {
  try {
    const reader = new ByteReader(bytes)
    const { rows, ...rule } = JSON.parse(fromUtf8(reader.raw(reader.u32()))) as Shape
    reader.raw(paddingAfter(reader.offset))
    const slots = rows.map(({ start, step, count }) => {
      const values = new Float64Array(reader.raw(count * 8).slice().buffer)
      return { start, step, values }
    })
    return { ...rule, slots }
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) {
      throw new QueryError('bad', 'what came is no series')
    }
    throw error
  }
}

function paddingAfter(length: number): number {
  return (8 - (length % 8)) % 8
}
