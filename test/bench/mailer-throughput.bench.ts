/**
 * smtp-source → mailer → smtp-sink against smtp-source → Postfix → smtp-sink: the same messages, sessions, and
 * file system, both durable before 250. Time ends when the last message is in the sink.
 */
import { readFileSync } from 'node:fs'
import { noPostfix, startPostfix } from '../mailer/postfix.ts'
import { startMailerProcess } from '../mailer/process.ts'
import { until } from '../peers/waiting.ts'
import { noSmtpTools, runSmtpSource, type SmtpSink, startSmtpSink } from '../mailer/smtp-tools.ts'
import type { BenchCase, Measured, Work } from './bench.ts'

const MESSAGES = 1_000
const MESSAGE_BYTES = 1_500

/** What takes the messages in and passes them on, and the sink that they end in. */
interface Relay {
  readonly name: string
  readonly port: number
  readonly sink: SmtpSink
  pids(): number[]
  stop(): Promise<void>
}

async function startMailer(): Promise<Relay> {
  const sink = await startSmtpSink()
  const mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${sink.port}` })
  const { smtpPort: port } = mailer
  return { name: 'mailer', port, sink, pids: () => [mailer.pid], stop: () => mailer.dispose() }
}

async function startPeer(): Promise<Relay> {
  const sink = await startSmtpSink()
  const postfix = await startPostfix({ relayhost: `[127.0.0.1]:${sink.port}` })
  const { port, pids } = postfix
  return { name: 'Postfix', port, sink, pids, stop: () => postfix.stop() }
}

interface Round {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly pssBytes: number
  readonly processes: number
}

async function round(relay: Relay, size: { count: number; sessions: number }): Promise<Round> {
  const { count, sessions } = size
  const before = relay.sink.messages()
  const cpuBefore = cpuSeconds(relay.pids())
  const start = performance.now()
  await runSmtpSource({ port: relay.port, sessions, messages: count, bytes: MESSAGE_BYTES })
  await until(() => relay.sink.messages() >= before + count, { seconds: 60, everyMs: 2 })
  const seconds = (performance.now() - start) / 1000
  const pids = relay.pids()
  return {
    seconds,
    cpuSeconds: cpuSeconds(pids) - cpuBefore,
    pssBytes: pids.reduce((sum, pid) => sum + pssBytes(pid), 0),
    processes: pids.length,
  }
}

function againstPostfix(sessions: number): BenchCase {
  return {
    name: `mailer/throughput: smtp-source → mailer → smtp-sink, sessions ${sessions}, Postfix beside`,
    unit: 'messages',
    peer: true,
    async prepare(scale): Promise<Work | string> {
      const missing = noSmtpTools() ?? noPostfix()
      if (missing !== undefined) return missing
      const relays = [await startMailer(), await startPeer()] as const
      const size = { count: Math.max(10, Math.round(MESSAGES * scale)), sessions, ratios: [] }
      return {
        count: size.count,
        run: () => compare(relays, size),
        async close() {
          for (const relay of relays) {
            await relay.stop()
            await relay.sink.stop()
          }
        },
      }
    },
  }
}

/** One after the other, in turns who is first: a disk that is slow just now is slow for both. */
async function compare(
  [mailer, postfix]: readonly [Relay, Relay],
  size: { count: number; sessions: number; ratios: number[] },
): Promise<Measured> {
  const mailerFirst = (mailer.sink.messages() / size.count) % 2 === 0
  const early = mailerFirst ? await round(mailer, size) : undefined
  const theirs = await round(postfix, size)
  const ours = early ?? (await round(mailer, size))
  size.ratios.push(theirs.seconds / ours.seconds)
  const sorted = size.ratios.toSorted((a, b) => a - b)
  const milliseconds = (taken: Round): number =>
    Number(((taken.cpuSeconds * 1000) / size.count).toFixed(2))
  return {
    checksum: size.count,
    seconds: ours.seconds,
    figures: {
      'Postfix messages/s': Math.round(size.count / theirs.seconds),
      'times Postfix, median': Number(sorted[sorted.length >> 1]!.toFixed(2)),
      'CPU ms/message': milliseconds(ours),
      'Postfix CPU ms/message': milliseconds(theirs),
      'PSS MB': Math.round(ours.pssBytes / 1e6),
      'Postfix PSS MB': Math.round(theirs.pssBytes / 1e6),
      'Postfix processes': theirs.processes,
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

export const cases: readonly BenchCase[] = [againstPostfix(1), againstPostfix(8)]
