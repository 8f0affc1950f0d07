/**
 * What the store answers on run/store-admin.sock beside health and numbers, for `bun run store …` and
 * `bun run whisper …`. Who can open the socket owns the store.
 *
 * `POST /flush`, `POST /sync`, `POST /snapshot?dir=`, `POST /check`, `GET /prefixes?nodes=&limit=`,
 * `POST /delete?pattern=&dryRun=` (JSON of the names), `POST /rename?from=&to=`, `GET /names?after=` (JSON of an
 * IndexReply), `GET /whisper?path=` (a file), `POST /series?path=` (whisper-exchange.ts). Flush, snapshot and check are
 * slow answers (ipc/admin.ts).
 */

import { type AdminRoute, slowAnswer } from '../../ipc/admin.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { ABSENT } from '../index/byte-table.ts'
import { NameListing } from '../queries/name-listing.ts'
import type { StoreQueries } from '../queries/store-queries.ts'
import { QueryError } from '../query-error.ts'
import { endlessPatience, inSlices } from '../../lib/slices.ts'
import {
  decodeSeries,
  type ExchangeParts,
  exportSeries,
  importSeries,
} from '../whisper/whisper-exchange.ts'
import { encodeWhisper } from '../whisper/whisper-writer.ts'

const NAMES_MAX = 10_000
const DEADLINE_MS = 60_000

export interface StoreAdminParts extends ExchangeParts {
  readonly adminRoutes: Map<string, AdminRoute>
  readonly clock: Clock
  readonly queries: StoreQueries
}

export function addStoreRoutes(parts: StoreAdminParts): void {
  const { engine, adminRoutes, index, clock, queries } = parts
  // The store's own names, without those of a Whisper tree under it.
  const listing = new NameListing({ index, clock, tree: undefined })
  const add = (route: string, answer: (url: URL, request: Request) => Promise<Response>): void => {
    adminRoutes.set(route, async (request, url) => {
      try {
        return await answer(url, request)
      } catch (error) {
        return refusal(reason(error), error instanceof QueryError && error.code === 'bad')
      }
    })
  }
  // These may take minutes.
  adminRoutes.set('POST /flush', () =>
    slowAnswer(
      clock,
      engine.flush().then(() => 'flushed\n'),
    ),
  )
  adminRoutes.set('POST /check', () =>
    slowAnswer(
      clock,
      engine.check().then((report) => JSON.stringify(report)),
    ),
  )
  add('POST /sync', async () => {
    await engine.sync()
    return new Response('synced\n')
  })
  add('POST /snapshot', async (url) => {
    const dir = url.searchParams.get('dir') ?? ''
    if (!dir.startsWith('/')) throw new QueryError('bad', 'dir must be an absolute path')
    return slowAnswer(
      clock,
      engine.snapshot(dir).then(() => `${dir}\n`),
    )
  })
  add('POST /delete', (url) => deleteSeries(parts, url))
  add('POST /rename', async (url) => {
    const [from, to] = ['from', 'to'].map((name) => url.searchParams.get(name) ?? '')
    const { renamed } = await queries.rename({
      ...request(clock),
      op: 'rename',
      from: from!,
      to: to!,
    })
    if (!renamed) throw new QueryError('bad', `there is no series ${JSON.stringify(from)}`)
    return new Response(`${from} is ${to} now\n`)
  })
  add('GET /prefixes', (url) => biggestPrefixes(parts, url))
  add('GET /names', async (url) => {
    const after = url.searchParams.get('after') ?? ''
    return Response.json(await listing.page(after, NAMES_MAX, endlessPatience(clock)))
  })
  add('GET /whisper', (url) => whisperFile(parts, url))
  add('POST /series', async (url, request) => {
    const series = decodeSeries(new Uint8Array(await request.arrayBuffer()))
    const path = url.searchParams.get('path') ?? ''
    return Response.json(await importSeries(parts, path, series, nowSeconds(parts.clock)))
  })
}

/** Those of the store itself that match; a Whisper tree under it is not ours to delete from. */
async function deleteSeries(
  { queries, index, clock }: StoreAdminParts,
  url: URL,
): Promise<Response> {
  const pattern = url.searchParams.get('pattern') ?? ''
  const asked = { ...request(clock), leavesOnly: true, namesMax: NAMES_MAX }
  const patience = endlessPatience(clock)
  const { matches } = await queries.find({ ...asked, op: 'find', patterns: [pattern] }, patience)
  const paths = matches.flat().map(({ path }) => path)
  const own = paths.filter((path) => index.findText(path) !== ABSENT)
  if (!url.searchParams.has('dryRun')) await queries.delete({ ...asked, op: 'delete', paths: own })
  return Response.json(own)
}

async function biggestPrefixes({ index, clock }: StoreAdminParts, url: URL): Promise<Response> {
  const nodes = Number(url.searchParams.get('nodes') ?? 2)
  const limit = Number(url.searchParams.get('limit') ?? 20)
  if (!(nodes >= 1 && nodes <= 16 && limit >= 1)) {
    throw new QueryError('bad', 'nodes must be 1 to 16, limit at least 1')
  }
  const work = index.biggestPrefixes({ nodes, limit })
  return Response.json(await inSlices(work, endlessPatience(clock)))
}

async function whisperFile(parts: StoreAdminParts, url: URL): Promise<Response> {
  const path = url.searchParams.get('path') ?? ''
  const series = await exportSeries(parts, path, nowSeconds(parts.clock))
  if (!series) throw new QueryError('bad', `there is no series ${JSON.stringify(path)}`)
  return new Response(new Uint8Array(encodeWhisper(series)))
}

/** What every question has. */
function request(clock: Clock): { now: number; deadlineMs: number } {
  return { now: nowSeconds(clock), deadlineMs: DEADLINE_MS }
}

function refusal(text: string, isAskersFault: boolean): Response {
  return new Response(`${text}\n`, { status: isAskersFault ? 400 : 503 })
}
