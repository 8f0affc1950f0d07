/**
 * Real Postfix beside the system's: configuration, queue, data and log in a temporary folder, one SMTP port
 * on loopback. Needs root and the Debian package; the system's own configuration is not touched.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, until } from '../peers/waiting.ts'

export interface Postfix {
  readonly port: number
  readonly dir: string
  log(): Promise<string>
  /** Pids of master and everything it started. */
  readonly pids: () => number[]
  stop(): Promise<void>
}

/** Why there can be none here, or undefined. */
export function noPostfix(): string | undefined {
  if (process.getuid?.() !== 0) return 'Postfix can only be started by root'
  if (!Bun.which('postfix', { PATH: SBIN })) return 'the Debian package postfix is not installed'
  return undefined
}

export const SBIN = `${process.env['PATH']}:/usr/sbin:/sbin`

const SERVICES = `
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`

export async function startPostfix(settings: Readonly<Record<string, string>>): Promise<Postfix> {
  const dir = mkdtempSync(join(tmpdir(), 'emon-postfix-'))
  const port = freePort()
  chmodSync(dir, 0o755)
  for (const folder of ['etc', 'queue', 'data']) mkdirSync(`${dir}/${folder}`)
  const postfix = Bun.spawnSync(['id', '-u', 'postfix']).stdout.toString().trim()
  chownSync(`${dir}/data`, Number(postfix), 0)
  const parameters: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: `${dir}/queue`,
    data_directory: `${dir}/data`,
    maillog_file: `${dir}/mail.log`,
    maillog_file_prefixes: dir,
    myhostname: 'postfix.test',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mynetworks: '127.0.0.0/8',
    mydestination: '',
    alias_maps: '',
    local_recipient_maps: '',
    smtpd_peername_lookup: 'no',
    disable_dns_lookups: 'yes',
    notify_classes: '',
    ...settings,
  }
  const main = Object.entries(parameters).map(([name, value]) => `${name} = ${value}\n`)
  writeFileSync(`${dir}/etc/main.cf`, main.join(''))
  writeFileSync(`${dir}/etc/master.cf`, `127.0.0.1:${port} inet n - n - - smtpd\n${SERVICES}`)
  const control = async (verb: string): Promise<void> => {
    const child = Bun.spawn(['postfix', '-c', `${dir}/etc`, verb], {
      env: { ...process.env, PATH: SBIN },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const problem = await new Response(child.stderr).text()
    if ((await child.exited) !== 0) throw new Error(`postfix ${verb}: ${problem}`)
  }
  await control('start')
  await until(() => canConnect(port), { what: 'Postfix' })
  return {
    port,
    dir,
    log: () => Bun.file(`${dir}/mail.log`).text(),
    pids: () => family(dir),
    async stop() {
      await control('stop')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function canConnect(port: number): Promise<boolean> {
  const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
  socket.end()
  return true
}

function family(dir: string): number[] {
  const lines = Bun.spawnSync(['ps', '-e', '-o', 'pid=,ppid=,args=']).stdout.toString().split('\n')
  const rows = lines
    .map((line) => /^ *(\d+) +(\d+) +(.*)$/.exec(line))
    .filter((row) => row !== null)
  const master = Bun.spawnSync(['cat', `${dir}/queue/pid/master.pid`])
    .stdout.toString()
    .trim()
  return rows.filter((row) => row[1] === master || row[2] === master).map((row) => Number(row[1]))
}
