/**
 * Who may ask, and who may change something.
 *
 * Reading is open unless users or tokens are configured; then HTTP basic authentication with one of the
 * users, or a bearer token, is needed, except over run/api.sock, which its folder's permissions guard. A port
 * that only this machine reaches answers only who asks it by a name of this machine (lib/own-names.ts).
 *
 * Changing (events, dashboards, making and deleting series) takes a bearer token, a user, or a request from
 * this machine itself: over the Unix socket, or from loopback by a name of this machine, with no header that says
 * it was forwarded and no Origin of another site, which a page in a browser here would bring.
 */

import { timingSafeEqual } from 'node:crypto'
import type { Context } from 'hono'
import { isForOwnName, isFromOtherSite } from '../../lib/own-names.ts'
import { toUtf8 } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { RenderError } from '../render-series.ts'
import type { ApiEnv } from './api-env.ts'

export interface Access {
  /** `Basic …` and `Bearer …` header values that are let in. */
  readonly credentials: readonly Uint8Array[]
  /** Whether reading needs one of them. */
  readonly guarded: boolean
  /** Whether reading is for this machine only, so that a page with a name of its own may not. */
  readonly isLocal: boolean
  /** Names under which this machine may be asked, beside loopback's. */
  readonly names: readonly string[]
}

export interface AccessSettings {
  /** `name:password`, comma separated. */
  readonly users: string | undefined
  /** Comma separated. */
  readonly tokens: string | undefined
  /** The instance's own token: lets in, but does not close the door to those without. */
  readonly token: string | undefined
  /** The port is listened on at a loopback address. */
  readonly isLocal: boolean
  readonly names: readonly string[]
}

export function makeAccess(settings: AccessSettings): Result<Access> {
  const users = splitList(settings.users)
  const wrong = users.findIndex((user) => !/^[^:]+:.+$/s.test(user))
  if (wrong >= 0) return err(`api.users: entry ${wrong + 1} must be name:password`)
  const tokens = splitList(settings.tokens)
  const own = settings.token === undefined ? [] : [settings.token]
  return ok({
    guarded: users.length + tokens.length > 0,
    isLocal: settings.isLocal,
    names: settings.names,
    credentials: [
      ...users.map((user) => toUtf8(`Basic ${Buffer.from(user).toString('base64')}`)),
      ...[...tokens, ...own].map((token) => toUtf8(`Bearer ${token}`)),
    ],
  })
}

/** The answer to who may not ask; undefined for who may. */
export function refuse(context: Context<ApiEnv>, access: Access): Response | undefined {
  if (context.env.overSocket || hasCredential(context, access)) return undefined
  const { headers } = context.req.raw
  if (access.isLocal && !isForOwnName(headers, access.names)) {
    const text = `this machine is not known as ${JSON.stringify(headers.get('host'))}: set EMON_HTTP_NAMES\n`
    return new Response(text, { status: 403 })
  }
  if (!access.guarded) return undefined
  return new Response('a user name and password, or a token, is needed\n', {
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="emon", charset="UTF-8"' },
  })
}

/** Throws for a request that may not change anything. */
export function mayChange(context: Context<ApiEnv>, access: Access): void {
  if (context.env.overSocket || hasCredential(context, access)) return
  const { headers } = context.req.raw
  const forwarded = FORWARDING_HEADERS.some((name) => headers.has(name))
  const isOurs = isForOwnName(headers, access.names) && !isFromOtherSite(headers)
  if (context.env.loopback && !forwarded && isOurs) return
  throw new RenderError('this needs a token: Authorization: Bearer …', 403)
}

const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Compares with every credential, in time that does not depend on which one fits. */
function hasCredential(context: Context<ApiEnv>, access: Access): boolean {
  const header = context.req.raw.headers.get('authorization')
  if (header === null) return false
  const given = toUtf8(header)
  let found = false
  for (const known of access.credentials) {
    if (given.length === known.length && timingSafeEqual(given, known)) found = true
  }
  return found
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
}
