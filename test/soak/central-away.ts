/**
 * A central instance that is stopped for a minute: ./scripts/soak central-away [SECONDS], 60 by default.
 *
 * A local instance takes 5,000 points/s, keeps them and sends them on. Beside that, one slot of ten series gets
 * a new, higher value a hundred times a second: when the points arrive in order, the last one wins in the end.
 */
import { LineClient, SteadyLoad } from '../e2e/load.ts'
import { nowSeconds, Stack } from '../e2e/stack.ts'

const RATE = 5_000
const PROCESSES = ['relay', 'store', 'api', 'mailer'] as const

const seconds = Number(Bun.argv[2] ?? 60)
const central = await Stack.start({ HOSTING: 'hub' })
const local = await Stack.start({
  HOSTING: 'acme',
  SERVICE: 'web',
  CENTRAL_METRICS_SERVER: `127.0.0.1:${central.config.relay.port}`,
})
let good = true
try {
  const load = new SteadyLoad({ port: local.config.relay.port, rate: RATE, prefix: 'soak' })
  const slot = nowSeconds()
  const rising = startRising(slot)
  await Bun.sleep(5_000)
  const awayFrom = nowSeconds()
  for (const name of PROCESSES) await central.stop(name)
  await Bun.sleep(seconds * 1000)
  const awayUntil = nowSeconds()
  const backMs = performance.now()
  for (const name of PROCESSES) central.spawn(name)
  await central.ready()
  await Bun.sleep(5_000)
  const last = await rising.stop()
  await load.stop()
  const limits = { timeoutMs: 60_000 }
  const here = await load.check(local, limits)
  const there = await load.check(central, { ...limits, prefix: 'acme.web.' })
  console.log(`away from ${awayFrom} until ${awayUntil}`)
  report('points sent', here.sent, true)
  report('missing here', here.missing.length, here.missing.length === 0)
  report('missing there', there.missing.length, there.missing.length === 0)
  for (const example of [there.missing.at(0), there.missing.at(-1)])
    if (example) console.log(`    ${example}`)
  report(
    'seconds from the start of the central one to the last point',
    (performance.now() - backMs) / 1000,
    true,
  )
  for (const stack of there.missing.length > 0 ? [local, central] : []) {
    for (const name of ['relay', 'store'] as const) console.log(await countsOf(stack, name))
  }
  const values = await central.points('acme.web.rising.*', { from: slot - 1, until: slot })
  const wrong = [...values.values()].filter((value) => value !== last)
  report('slots', values.size, values.size === 10)
  report('slots in which an older value won', wrong.length, wrong.length === 0)
} finally {
  await local.close()
  await central.close()
}
process.exit(good ? 0 : 1)

/** What the process counted, where it is not nothing. */
async function countsOf(stack: Stack, name: string): Promise<string> {
  const unix = `${stack.config.run}/${name}-admin.sock`
  const text = await (await fetch('http://emon/metrics', { unix })).text()
  return text.replaceAll(/^(#.*| .* 0|\S+ 0)\n/gm, '')
}

function startRising(time: number): { stop: () => Promise<number> } {
  let running = true
  const run = async (): Promise<number> => {
    const client = await LineClient.connect(local.config.relay.port)
    let value = 0
    while (running) {
      value++
      let lines = ''
      for (let series = 0; series < 10; series++) lines += `rising.s${series} ${value} ${time}\n`
      await client.write(lines)
      await Bun.sleep(10)
    }
    await client.end()
    return value
  }
  const done = run()
  return {
    stop() {
      running = false
      return done
    },
  }
}

function report(what: string, value: number, fine: boolean): void {
  console.log(`${what.padEnd(64)} ${Math.round(value * 10) / 10}${fine ? '' : '  WRONG'}`)
  good &&= fine
}
