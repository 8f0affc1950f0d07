/**
 * smtp-source → mailer → smtp-sink against smtp-source → Postfix → smtp-sink: the same messages, sessions, and
 * file system, both durable before 250. Time ends when the last message is in the sink.
 */
import { readFileSync } from 'node:fs'
import { noPostfix, startPostfix } from '../mailer/postfix.ts'
import { startMailerProcess, until } from '../mailer/process.ts'
import { noSmtpTools, runSmtpSource, type SmtpSink, startSmtpSink } from '../mailer/smtp-tools.ts'
import type { BenchCase, Measured, Work } from './bench.ts'

const MESSAGES = 1_000
const MESSAGE_BYTES = 1_500

/** What takes the messages in and passes them on. */
interface Relay {
  readonly port: number
  pids(): number[]
  stop(): Promise<void>
}

async function startMailer(sink: SmtpSink): Promise<Relay> {
  const mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${sink.port}` })
  return { port: mailer.smtpPort, pids: () => [mailer.pid], stop: () => mailer.dispose() }
}

const startPeer = (sink: SmtpSink): Promise<Relay> =>
  startPostfix({ relayhost: `[127.0.0.1]:${sink.port}`, in_flow_delay: '1s' })

function relayCase(
  name: string,
  sessions: number,
  make: { missing: () => string | undefined; start: (sink: SmtpSink) => Promise<Relay> },
): BenchCase {
  return {
    name: `mailer/throughput: smtp-source → ${name} → smtp-sink, ${sessions} session${sessions > 1 ? 's' : ''}`,
    unit: 'messages',
    peer: true,
    async prepare(scale) {
      const missing = make.missing()
      if (missing !== undefined) return missing
      const sink = await startSmtpSink()
      const relay = await make.start(sink)
      const count = Math.max(10, Math.round(MESSAGES * scale))
      return work(relay, sink, { count, sessions })
    },
  }
}

function work(relay: Relay, sink: SmtpSink, size: { count: number; sessions: number }): Work {
  const { count, sessions } = size
  return {
    count,
    async run(): Promise<Measured> {
      const before = sink.messages()
      const cpuBefore = cpuSeconds(relay.pids())
      const start = performance.now()
      const options = { port: relay.port, sessions, messages: count, bytes: MESSAGE_BYTES }
      await runSmtpSource(options)
      const accepted = (performance.now() - start) / 1000
      await until(() => sink.messages() >= before + count, { seconds: 60 })
      const seconds = (performance.now() - start) / 1000
      const cpu = cpuSeconds(relay.pids()) - cpuBefore
      const pss = relay.pids().reduce((sum, pid) => sum + pssBytes(pid), 0)
      return {
        checksum: sink.messages() - before,
        seconds,
        figures: {
          'accepted/s': Math.round(count / accepted),
          'CPU ms/message': Number(((cpu * 1000) / count).toFixed(2)),
          'PSS MB': Number((pss / 1e6).toFixed(1)),
          processes: relay.pids().length,
        },
      }
    },
    async close() {
      await relay.stop()
      await sink.stop()
    },
  }
}

const CLOCK_TICKS = 100

/** User and system time, that of children that have ended included. */
function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
      for (const index of [11, 12, 13, 14]) ticks += Number(fields[index])
    } catch {
      // it has ended: its master has its time now
    }
  }
  return ticks / CLOCK_TICKS
}

function pssBytes(pid: number): number {
  try {
    const found = /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    return Number(found?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

const MAILER = { missing: noSmtpTools, start: startMailer }
const POSTFIX = { missing: noPostfix, start: startPeer }

export const cases: readonly BenchCase[] = [1, 8].flatMap((sessions) => [
  relayCase('mailer', sessions, MAILER),
  relayCase('Postfix', sessions, POSTFIX),
])
