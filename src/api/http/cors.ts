/**
 * Cross-origin reading, for browsers that ask this api directly (Grafana's proxy needs none). Off unless
 * origins are configured: an api that listens on loopback would otherwise show its metrics to any page
 * that a browser on the machine opens.
 */

import type { Hono } from 'hono'
import { cors } from 'hono/cors'
import type { ApiEnv } from './api-env.ts'

export function addCors(app: Hono<ApiEnv>, origins: readonly string[]): void {
  if (origins.length === 0) return
  app.use(
    cors({
      origin: origins.includes('*') ? '*' : [...origins],
      allowMethods: ['GET', 'POST', 'HEAD', 'OPTIONS'],
      allowHeaders: ['Authorization', 'Content-Type', 'X-Requested-With'],
      exposeHeaders: ['X-Emon-Stores-Missing'],
      credentials: !origins.includes('*'),
      maxAge: 600,
    }),
  )
}
