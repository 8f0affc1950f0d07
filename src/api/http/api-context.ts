/**
 * What the endpoints work with: the services of the process, and for each request its parameters and its
 * scope (deadline, cancellation, stores that were missing).
 */

import type { Context } from 'hono'
import type { Clock } from '../../lib/clock.ts'
import { nowSeconds } from '../../lib/clock.ts'
import type { FloatPool } from '../../lib/float-pool.ts'
import type { Stats } from '../../lib/stats.ts'
import type { QueryDefaults } from '../render-query.ts'
import type { Rasterizer } from '../charts/rasterizer.ts'
import type { DashboardStore } from '../dashboards.ts'
import type { EventStore } from '../events.ts'
import type { Log } from '../../lib/log.ts'
import type { AliasTables } from '../lookups/alias-tables.ts'
import type { Access } from './access.ts'
import type { ApiEnv } from './api-env.ts'
import type { StoreClient, StoreScope } from '../stores/store-client.ts'
import { ValueArena } from '../stores/value-arena.ts'
import { RequestParams } from './request-params.ts'

/** Limits of what one request may ask for, and of how many may ask at once. */
export interface ApiLimits {
  readonly seriesMax: number
  readonly pointsMax: number
  readonly timeoutMs: number
  readonly targetsMax: number
  readonly requestsMax: number
  readonly namesMax: number
}

export interface ApiServices {
  readonly clock: Clock
  readonly stats: Stats
  readonly stores: StoreClient
  readonly aliases: AliasTables
  readonly slabs: FloatPool
  readonly limits: ApiLimits
  readonly timeZone: string
  readonly access: Access
  /** Origins that browsers may ask from; `*` is any. */
  readonly corsOrigins: readonly string[]
  readonly events: EventStore
  readonly dashboards: DashboardStore
  readonly rasterizer: Rasterizer
  /** Why the api cannot do its job now, a line each. */
  readonly notReady: () => readonly string[]
  readonly log: Log
}

/** One request, as an endpoint sees it. */
export interface ApiRequest {
  readonly raw: Request
  readonly params: RequestParams
  readonly scope: StoreScope
  readonly defaults: QueryDefaults
}

export async function openRequest(
  context: Context<ApiEnv>,
  services: ApiServices,
): Promise<ApiRequest> {
  const { clock, limits } = services
  const params = await RequestParams.read(context.req.raw)
  const now = nowSeconds(clock)
  const values = new ValueArena(services.slabs)
  context.set('values', values)
  return {
    raw: context.req.raw,
    params,
    scope: {
      now,
      deadlineAtMs: clock.monotonicMs() + limits.timeoutMs,
      signal: context.req.raw.signal,
      values,
      missing: new Set(),
    },
    defaults: { now, timeZone: services.timeZone, targetsMax: limits.targetsMax },
  }
}

/** Names the stores whose part is not in the answer. */
export function missingHeaders(scope: StoreScope): Record<string, string> {
  return scope.missing.size === 0 ? {} : { 'x-emon-stores-missing': [...scope.missing].join(', ') }
}
