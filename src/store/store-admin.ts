/**
 * What the store answers on run/store-admin.sock beside health and numbers, for `bun run store …`:
 * `POST /flush`, `POST /snapshot?dir=`, `POST /check`, `GET /prefixes?nodes=&limit=`.
 */

import type { AdminRoute } from '../ipc/admin.ts'
import { reason } from '../lib/log.ts'
import type { Clock } from '../lib/clock.ts'
import type { Engine } from './engine.ts'
import type { SeriesIndex } from './series-index.ts'
import { endlessPatience, inSlices } from './slices.ts'

export interface StoreAdminParts {
  readonly adminRoutes: Map<string, AdminRoute>
  readonly clock: Clock
  readonly engine: Engine
  readonly index: SeriesIndex
}

export function addStoreRoutes({ adminRoutes, clock, engine, index }: StoreAdminParts): void {
  adminRoutes.set('POST /flush', async () => {
    await engine.flush()
    return new Response('flushed\n')
  })
  adminRoutes.set('POST /snapshot', async (_request, url) => {
    const dir = url.searchParams.get('dir')
    if (dir === null || !dir.startsWith('/')) return refusal('dir must be an absolute path')
    try {
      await engine.snapshot(dir)
      return new Response(`${dir}\n`)
    } catch (error) {
      return refusal(reason(error))
    }
  })
  adminRoutes.set('POST /check', async () => Response.json(await engine.check()))
  adminRoutes.set('GET /prefixes', async (_request, url) => {
    const nodes = Number(url.searchParams.get('nodes') ?? 2)
    const limit = Number(url.searchParams.get('limit') ?? 20)
    if (!(nodes >= 1 && nodes <= 16 && limit >= 1))
      return refusal('nodes is 1 to 16, limit at least 1')
    const work = index.biggestPrefixes({ nodes, limit })
    return Response.json(await inSlices(work, endlessPatience(clock)))
  })
}

function refusal(text: string): Response {
  return new Response(`${text}\n`, { status: 400 })
}
