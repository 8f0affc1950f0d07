/**
 * The one configuration: defaults, then emon.toml, then the environment, then command-line flags, each
 * over the one before, checked by one schema. `loadConfig` answers the configuration, with where each
 * value came from, or every complaint at once: the place, what is wrong, what would be right.
 *
 * The files that users bring along (relay.conf, storage-schemas.conf, storage-aggregation.conf) are read by
 * the concerns that they are for; here are only their paths. They are looked for beside emon.toml, which
 * itself is `$EMON_CONFIG`, or `emon.toml` in the data folder.
 *
 * To add a setting: a line in the schema, and one in `environment.ts` if it can be given there.
 */

import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { VARIABLES } from './environment.ts'
import { GivenSettings } from './given-settings.ts'
import type { Disk } from './lib/disk.ts'
import { err, ok, type Result } from './lib/result.ts'
import { parseRetentions, parseSeconds } from './metric/retention.ts'

/** The folder that holds package.json: relative paths start there. */
export const PACKAGE_DIR = resolve(import.meta.dir, '..')

/** Exit code for a configuration that cannot be used (sysexits.h EX_CONFIG). */
export const EXIT_CONFIG = 78

// ── the schema ──────────────────────────────────────────────────────────────────────────────────────

const text = z.string('must be a text in quotes')
const optionalText = text.transform((value) =>
  value === '' || value === 'none' ? undefined : value,
)

function parsed<T>(parse: (value: string) => Result<T>) {
  return z.union([z.string(), z.number(), z.boolean()]).transform((value, context) => {
    const result = parse(String(value))
    if (result.ok) return result.value
    context.addIssue({ code: 'custom', message: result.error })
    return z.NEVER
  })
}

const port = parsed((value) => {
  if (value === 'off') return ok(0)
  const number = Number(value)
  const good = /^\d+$/.test(value) && number <= 65_535
  return good ? ok(number) : err('must be a port from 1 to 65535, or off')
})

const seconds = parsed((value) => {
  const duration = parseSeconds(value)
  return duration.ok ? duration : err(`${duration.error}: must be a duration such as 10s, 5m or 1h`)
})

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

const bytes = parsed((value) => {
  const parts = /^(\d+) ?(|KiB|MiB|GiB)$/.exec(value)
  return parts
    ? ok(Number(parts[1]) * BYTE_UNITS[parts[2]!]!)
    : err('must be a size such as 512KiB, 8MiB or 1GiB')
})

const count = parsed((value) =>
  /^\d{1,15}$/.test(value) ? ok(Number(value)) : err('must be a whole number'),
)

const flag = parsed((value) =>
  value === 'true' || value === 'false' ? ok(value === 'true') : err('must be true or false'),
)

/** A list, or its text. */
const percentiles = z.preprocess(
  (value) => (Array.isArray(value) ? value.join(',') : value),
  parsed((value) => {
    const list = value.split(',').map((item) => Number(item.trim()))
    const good = list.every((item) => item !== 0 && Math.abs(item) <= 100)
    return good ? ok(list) : err('must be percentiles such as "90" or "50, 95, -5"')
  }),
)

/** What statsd knows idle keys of. */
const STATSD_KINDS = ['counters', 'timers', 'gauges', 'sets'] as const

const idleKinds = z.preprocess(
  (value) => (Array.isArray(value) ? value.join(',') || 'false' : value),
  parsed((value) => {
    if (value === 'true') return ok([...STATSD_KINDS])
    const named = value === 'false' ? [] : value.split(',').map((item) => item.trim())
    const kinds = STATSD_KINDS.filter((kind) => named.includes(kind))
    const isGood = kinds.length === named.length
    return isGood ? ok(kinds) : err(`must be true, false or some of ${STATSD_KINDS.join(', ')}`)
  }),
)

const HISTOGRAM_RE = /^(?:\S+ )?(?:\d+(?:\.\d+)?,)*(?:\d+(?:\.\d+)?|inf)$/
const histogram = text.regex(HISTOGRAM_RE, 'must be bins such as "10,100,inf" or "render 5,50,inf"')

const retentions = text.transform((value, context) => {
  const archives = parseRetentions(value)
  if (!archives.ok) context.addIssue({ code: 'custom', message: archives.error })
  return value
})

const timeZone = text.refine(isTimeZone, 'must be a time zone such as UTC or Europe/London')

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const schema = z.strictObject({
  /** Everything that is kept lies in this folder. */
  data: text.default('./var'),
  /** Sockets, pid files, locks; default: run in the data folder. */
  run: optionalText.optional(),
  /** For days and hours in render's from, until and drawings. */
  tz: timeZone.default('UTC'),
  /** Needed by requests that delete or change something from elsewhere, and by acknowledged frames. */
  token: optionalText.optional(),
  /** Names under which browsers and proxies ask the HTTP ports of this machine, comma separated, beside its own. */
  http_names: optionalText.optional(),
  /** What this machine is; hosting and service prefix the names that go to the central server. */
  hosting: text.default('local'),
  service: text.default('testservice'),
  environment: text.default('test'),
  location: text.default('london'),
  log: z
    .strictObject({
      /** Folder for NAME.log; none: stderr only. */
      dir: optionalText.optional(),
      /** host or host:port of a syslog server (UDP, RFC 5424). */
      syslog: optionalText.optional(),
      debug: flag.default(false),
    })
    .prefault({}),
  central: z
    .strictObject({
      /** host or host:port of the central relay; none: this instance only keeps. */
      server: optionalText.optional(),
      protocol: z.enum(['auto', 'emon', 'line'], 'must be auto, emon or line').default('auto'),
      tls: flag.default(false),
    })
    .prefault({}),
  relay: z
    .strictObject({
      bind: text.default('0.0.0.0'),
      port: port.default(2003),
      pickle_port: port.default(2004),
      statsd_port: port.default(8125),
      statsd_admin_port: port.default(0),
      /** `POST /lines`. */
      http_port: port.default(0),
      statsd_flush_interval: seconds.default(10),
      /** Comma separated; a negative one is of the greatest values. */
      statsd_percentiles: percentiles.default([90]),
      statsd_legacy_namespace: flag.default(true),
      /** Bins, behind what a timer has in its name to be counted in them; the first that fits. */
      statsd_histograms: z.array(histogram).default([]),
      /** True, or the kinds whose idle keys are forgotten. */
      statsd_delete_idle: idleKinds.default([]),
      /** carbon-c-relay's configuration; default: relay.conf beside emon.toml, else made from this file. */
      conf: optionalText.optional(),
      /** Points a second when a spool is replayed to a plain carbon; 0: max(4 × live rate, 50,000). */
      replay_rate: count.default(0),
      /** Bytes written to a plain TCP destination that are kept to be written again after a reset. */
      resend_window: bytes.default(8 * 1024 ** 2),
      spool_max: bytes.default(1024 ** 3),
      spool_age_max: seconds.default(7 * 86_400),
      connections_max: count.default(4_096),
      statistics_interval: seconds.default(60),
    })
    .prefault({}),
  store: z
    .strictObject({
      bind: text.default('127.0.0.1'),
      port: port.default(2013),
      carbonserver_port: port.default(0),
      /** storage-schemas.conf and storage-aggregation.conf; default: beside emon.toml, else the built-in rules. */
      schemas: optionalText.optional(),
      aggregation: optionalText.optional(),
      local_retention: retentions.default('1s:1d,10s:7d,1m:90d'),
      central_retention: retentions.default('1s:6h,10s:7d,1m:600d'),
      central_aggregation: text.default('average'),
      /** A tree of Whisper files that is read under the store's own data. */
      whisper_dir: optionalText.optional(),
      max_future: seconds.default(3_600),
      series_max: count.default(10_000_000),
      new_series_per_second: count.default(100_000),
      /** PREFIX:MAX, comma separated; with `apps.*:5000` each apps.NAME may have 5,000 series. */
      quotas: text.default(''),
      fsync: z.enum(['always', '1s', 'off'], 'must be always, 1s or off').default('1s'),
      rollup: z.enum(['whisper', 'exact'], 'must be whisper or exact').default('whisper'),
    })
    .prefault({}),
  api: z
    .strictObject({
      bind: text.default('127.0.0.1'),
      port: port.default(8888),
      /** Stores to ask, comma separated: unix:PATH or emon://host:port; default: this instance's. */
      stores: optionalText.optional(),
      series_max: count.default(10_000),
      points_max: count.default(20_000_000),
      timeout: seconds.default(30),
      targets_max: count.default(1_000),
      requests_max: count.default(64),
      names_max: count.default(100_000),
      /** Who may ask: name:password, comma separated, or bearer tokens; none: everybody may read. */
      users: optionalText.optional(),
      tokens: optionalText.optional(),
      /** Origins that browsers may ask from, comma separated; * is any. */
      cors_origins: optionalText.optional(),
      /** PEM files; both: the port speaks HTTPS. */
      tls_certificate: optionalText.optional(),
      tls_key: optionalText.optional(),
      /** For aliasByRedis: redis://user:password@host:port/number. */
      redis: optionalText.optional(),
      /** For aliasByPostgres: NAME=postgres://user:password@host:port/database, separated by blanks. */
      postgres: optionalText.optional(),
      /** DATABASE.KEY=SELECT alias FROM … WHERE … = $1, one a line. */
      postgres_queries: optionalText.optional(),
      /** What a look-up in them may take. */
      lookup_timeout: seconds.refine((value) => value >= 1, 'must be at least a second').default(1),
    })
    .prefault({}),
  mailer: z
    .strictObject({
      bind: text.default('127.0.0.1'),
      smtp_port: port.default(2525),
      /** host or host:port of the smarthost (default port 587); none: mail goes to each domain's MX. */
      relayhost: optionalText.optional(),
      user: optionalText.optional(),
      password: optionalText.optional(),
      /** none: plain; may: TLS where offered; encrypt: TLS or nothing; verify: and a good certificate. */
      tls: z
        .enum(['none', 'may', 'encrypt', 'verify'], 'must be none, may, encrypt or verify')
        .default('may'),
      /** Takes every recipient's mail, as the original's virtual map did. */
      alert_address: optionalText.optional(),
      /** Sender of reports, and of mail that `rewrite_senders` names. */
      from: optionalText.optional(),
      /** Whose sender becomes `from`: local: addresses of this machine; all: everybody's. */
      rewrite_senders: z
        .enum(['none', 'local', 'all'], 'must be none, local or all')
        .default('local'),
      /** NAME=ADDRESS,ADDRESS …, for addresses of this machine. */
      aliases: text.default(''),
      /** What this mailer calls itself; default: the machine's name. */
      hostname: optionalText.optional(),
      /** PEM file of certificates to trust beside the system's. */
      tls_ca: optionalText.optional(),
      /** PEM files: with them the SMTP port offers STARTTLS. */
      tls_cert: optionalText.optional(),
      tls_key: optionalText.optional(),
      /** Who may relay from other machines, over TLS. */
      smtp_user: optionalText.optional(),
      smtp_password: optionalText.optional(),
      /** Signs what leaves: domain, selector, and the PEM file of the private key. */
      dkim_domain: optionalText.optional(),
      dkim_selector: optionalText.optional(),
      dkim_key: optionalText.optional(),
      /** Messages a second to one destination; 0: no limit. */
      rate: count.default(0),
      /** Transactions at once with one destination. */
      concurrency_max: count.default(20),
      /** How long it is tried before it is returned. */
      lifetime: seconds.default(5 * 86_400),
      /** The same sender, recipients and subject again within this time is suppressed; 0: never. */
      duplicate_window: seconds.default(0),
      message_size_max: bytes.default(10_240_000),
      recipients_max: count.default(1_000),
      connections_max: count.default(100),
      queue_max: count.default(100_000),
      queue_bytes_max: bytes.default(1024 ** 3),
    })
    .prefault({}),
  monit: z
    .strictObject({
      bind: text.default('127.0.0.1'),
      port: port.default(0),
    })
    .prefault({}),
})

/** Settings whose values are never printed. */
const SECRETS: ReadonlySet<string> = new Set([
  'token',
  'api.tokens',
  'api.users',
  'api.redis',
  'api.postgres',
  'mailer.password',
  'mailer.smtp_password',
])

// ── loading ─────────────────────────────────────────────────────────────────────────────────────────

type Settings = z.output<typeof schema>

export interface Config extends Omit<Settings, 'run'> {
  /** Absolute. */
  readonly data: string
  readonly run: string
  /** Where emon.toml is or would be, absolute. */
  readonly file: string
  /** Setting → where its value came from: `default`, `FILE:LINE`, `$VARIABLE` or `flag`. */
  readonly sources: ReadonlyMap<string, string>
}

export interface ConfigInput {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly disk: Disk
  /** Settings given on the command line, `relay.port` → value. */
  readonly flags?: ReadonlyMap<string, string>
}

/** The configuration, or its complaints, one line each. */
export function loadConfig(input: ConfigInput): Result<Config, readonly string[]> {
  const { environment } = input
  const file = resolve(
    PACKAGE_DIR,
    environment['EMON_CONFIG'] ?? `${environment['EMON_DATA'] ?? './var'}/emon.toml`,
  )
  const given = new GivenSettings()
  const fromFile = given.addFile(input.disk, file, environment['EMON_CONFIG'] !== undefined)
  if (!fromFile.ok) return err([fromFile.error])
  const fromEnvironment = given.addEnvironment(VARIABLES, input)
  for (const [setting, value] of input.flags ?? []) given.set(setting, value, 'flag')
  const checked = schema.safeParse(given.tree)
  const complaints = checked.success
    ? fromEnvironment
    : [...fromEnvironment, ...checked.error.issues.flatMap((issue) => complaintOf(given, issue))]
  if (!checked.success || complaints.length > 0) return err(complaints)
  const data = resolve(PACKAGE_DIR, checked.data.data)
  const run =
    checked.data.run === undefined ? `${data}/run` : resolve(PACKAGE_DIR, checked.data.run)
  return ok({ ...checked.data, data, run, file, sources: given.sources })
}

/** A file that a setting names, or the one of that name beside emon.toml if there is one. */
export function userFile(
  config: Config,
  disk: Disk,
  file: { setting: string | undefined; name: string },
): string | undefined {
  if (file.setting !== undefined) return resolve(PACKAGE_DIR, file.setting)
  const beside = `${dirname(config.file)}/${file.name}`
  return disk.stat(beside) ? beside : undefined
}

function complaintOf(given: GivenSettings, issue: z.core.$ZodIssue): string[] {
  const setting = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const full = setting === '' ? key : `${setting}.${key}`
      return `${given.place(full)}: there is no setting ${full}; \`bun run config\` lists them`
    })
  }
  return [`${given.place(setting)}: ${setting} ${issue.message}`]
}

/** Every setting with its value, secrets masked, and its source: what `bun run config` prints. */
export function describeConfig(
  config: Config,
): { setting: string; value: string; source: string }[] {
  return listSettings(config).map(({ setting, value, source }) => {
    if (value === undefined) return { setting, value: 'none', source }
    return {
      setting,
      value: JSON.stringify(SECRETS.has(setting) ? '********' : value),
      source,
    }
  })
}

/** Every setting in the schema's order, `table.key` or `key`, secrets as they are. */
export function listSettings(
  config: Config,
): { setting: string; value: unknown; source: string }[] {
  const rows: { setting: string; value: unknown; source: string }[] = []
  const add = (setting: string, value: unknown): void => {
    rows.push({ setting, value, source: config.sources.get(setting) ?? 'default' })
  }
  for (const [key, kind] of Object.entries(schema.shape)) {
    const value = config[key as keyof Settings]
    const table = kind instanceof z.ZodPrefault ? kind.unwrap() : undefined
    if (!(table instanceof z.ZodObject)) add(key, value)
    else {
      for (const inner of Object.keys(table.shape)) {
        add(`${key}.${inner}`, (value as Record<string, unknown>)[inner])
      }
    }
  }
  return rows
}
